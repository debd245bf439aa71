import { BaseRpcExceptionFilter, type MessageHandler } from '@nestjs/microservices';
import { catchError, isObservable, type Observable } from 'rxjs';
import type { Clock } from '../eventloop/clock.js';
import { MqttArgumentError, MqttClosedError } from '../eventloop/errors.js';
import { assertOperationOptions, OperationLimits } from '../eventloop/operation-limits.js';
import { Operation } from '../eventloop/session/operation.js';
import type { MqttPattern, MqttPatternFunction } from '../interfaces/handler-options.interface.js';
import type { MqttSubscribeOptions, MqttSubscriber, MqttSubscription } from '../interfaces/subscription.interface.js';
import type { RegisteredHandler } from './handler.js';
import type { HandlerRegistry } from './handler-registry.js';
import type { HandlerSubscriptions } from './handler-subscriptions.js';

/** As methods of controllers answer: what is thrown is for the log, and not for the requester, unless it is an `RpcException`. */
function answering(handle: MessageHandler): MessageHandler {
  const filter = new BaseRpcExceptionFilter();
  const toAnswer = (error: unknown): Observable<unknown> => filter.catch(error, undefined as never);
  return async (data, context) => {
    try {
      const result: unknown = await handle(data, context);
      return isObservable(result) ? result.pipe(catchError(toAnswer)) : result;
    } catch (error) {
      return toAnswer(error);
    }
  };
}

/** The wait for the broker, which may be given up. */
class Subscribing extends Operation<void> {
  readonly delivery = 'unknown';

  constructor(readonly description: string) {
    super();
  }
}

/**
 * Handlers that come and go while the server runs. In everything else they are as those that are declared.
 *
 * @internal
 */
export class RunTimeHandlers {
  readonly #registry: HandlerRegistry;
  readonly #subscriptions: HandlerSubscriptions;
  readonly #limits: OperationLimits;

  constructor(registry: HandlerRegistry, subscriptions: HandlerSubscriptions, clock: Clock) {
    this.#registry = registry;
    this.#subscriptions = subscriptions;
    this.#limits = new OperationLimits(clock);
  }

  /** @throws MqttHandlersError, MqttArgumentError */
  read(
    pattern: MqttPattern | MqttPatternFunction,
    handle: MqttSubscriber<never>,
    options: MqttSubscribeOptions,
  ): RegisteredHandler {
    assertOperationOptions(options);
    const { kind = 'event' } = options;
    if (kind !== 'event' && kind !== 'message') throw new MqttArgumentError('kind', kind, '"event" or "message"');
    if (typeof handle !== 'function') throw new MqttArgumentError('handler', handle, 'a function');
    const callback = handle as MessageHandler;
    const isEvent = kind === 'event';
    return this.#registry.read(pattern, isEvent ? callback : answering(callback), isEvent, { ...options });
  }

  async add(handler: RegisteredHandler, options: MqttSubscribeOptions): Promise<MqttSubscription> {
    const subscribing = new Subscribing(`subscribe to "${handler.pattern.subscription}"`);
    // Nothing is taken back at the event loop: another handler may wait for the same.
    const withdraw = (): void => void this.#remove(handler).catch(() => undefined);
    this.#limits.limit(subscribing, options, { withdraw });
    this.#subscriptions
      .add(handler, () => !subscribing.settled)
      .then(
        () => subscribing.succeed(),
        (error: unknown) => subscribing.fail(error as never),
      );
    await subscribing.completed;
    let removed: Promise<void> | undefined;
    return Object.freeze({
      pattern: handler.pattern.declared,
      unsubscribe: () => (removed ??= this.#remove(handler)),
    });
  }

  /** What is closed sends nothing more. */
  #remove(handler: RegisteredHandler): Promise<void> {
    return this.#subscriptions.remove(handler).catch((error: unknown) => {
      if (!(error instanceof MqttClosedError)) throw error;
    });
  }
}
