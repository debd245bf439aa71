import type { LoggerService } from '@nestjs/common';
import type { MqttContext, MqttDecodeError } from 'nestjs-rumqtt';
import { OptionChecks } from '../../../lib/eventloop/option-checks.js';
import type { EventLoopOptions } from '../../../lib/eventloop/options.js';
import { registerHandler } from '../../../lib/routing/handler.js';
import { Router } from '../../../lib/routing/router.js';
import { HandlerRuntime } from '../../../lib/settlement/handler-runtime.js';
import type { CodecsByContentType } from '../../../lib/serialization/codecs.js';
import { defaultPayload } from '../../../lib/serialization/payload-settings.js';
import { defaultSettlement, readSettlement } from '../../../lib/settlement/settlement-settings.js';
import { onTestFinished } from 'vitest';
import { scriptedLoop, type ScriptedLoop } from '../../fixtures/scripted-loop.js';
import type { ConnackOptions, ScriptedConnection } from 'nestjs-rumqtt/testing';

/** A handler and the options it is declared with. */
export interface Declared {
  readonly pattern?: string;
  readonly isRequest?: boolean;
  readonly options?: Record<string, unknown>;
  readonly handle: (data: unknown, context: MqttContext) => unknown;
}

interface Setup {
  readonly loop?: EventLoopOptions;
  /** Defaults of the handlers, as in the options of the module. */
  readonly module?: Record<string, unknown>;
  readonly serverConcurrency?: number;
  readonly drainTimeoutMs?: number;
  readonly random?: () => number;
  readonly contentTypeCodecs?: CodecsByContentType;
}

/** What runs handlers, on virtual time, on a real event loop that is connected to a scripted broker. */
export interface RuntimeHarness extends ScriptedLoop {
  readonly runtime: HandlerRuntime;
  readonly router: Router;
  readonly log: { readonly level: string; readonly text: string }[];
  /** What the server's event tells. */
  readonly undecodable: { readonly topic: string; readonly error: MqttDecodeError }[];
  readonly connection: ScriptedConnection;
  /** As the application does when it shuts down. */
  pause(): void;
  /** Sends a QoS 1 message and lets things settle. */
  deliver(messageId: number, payload?: string | Buffer, fields?: Record<string, unknown>): Promise<void>;
  /** The loss of the connection, and the next one. */
  connectAgain(connack?: ConnackOptions): Promise<ScriptedConnection>;
}

export async function runtimeWith(declared: readonly Declared[], setup: Setup = {}): Promise<RuntimeHarness> {
  const random = setup.random ?? (() => 0.5);
  const it = scriptedLoop(
    {
      clean: false,
      clientId: 'me',
      keepAliveSeconds: 0,
      reconnect: { minDelayMs: 100, jitter: 'none' },
      ...setup.loop,
    },
    { random },
  );
  const checks = new OptionChecks();
  const settlement = readSettlement(setup.module ?? {}, defaultSettlement, true, checks);
  checks.finish();
  const router = new Router();
  declared.forEach(({ pattern = 't/#', isRequest = false, options = {}, handle }, index) => {
    // As Nest calls handlers: whatever they do, a promise.
    const callback = async (data: unknown, context: unknown): Promise<unknown> => handle(data, context as MqttContext);
    const defaults = { qos: 1, settlement, isSessionResumed: true, payload: defaultPayload } as const;
    router.add(registerHandler(pattern, callback, !isRequest, options, index, defaults));
  });
  const log: RuntimeHarness['log'] = [];
  const write =
    (level: string) =>
    (text: unknown): void =>
      void log.push({ level, text: String(text) });
  const logger: LoggerService = { log: write('log'), warn: write('warn'), error: write('error') };
  const undecodable: RuntimeHarness['undecodable'] = [];
  let isPaused = false;
  const runtime = new HandlerRuntime(
    it.loop,
    router,
    {
      serverConcurrency: setup.serverConcurrency,
      drainTimeoutMs: setup.drainTimeoutMs ?? 1_000,
      isSessionResumed: true,
      contentTypeCodecs: setup.contentTypeCodecs,
    },
    logger,
    {
      server: {},
      clock: it.clock,
      random,
      normalizePattern: (pattern) => JSON.stringify(pattern),
      isPaused: () => isPaused,
      processingHooks: () => undefined,
      unmatched: () => undefined,
      undecodable: (message, error) => void undecodable.push({ topic: message.topic, error }),
    },
  );
  it.loop.onMessage((message) => runtime.dispatch(message, false));
  onTestFinished(async () => {
    isPaused = true;
    const closing = runtime.close(undefined);
    await it.clock.advance(setup.drainTimeoutMs ?? 1_000);
    await closing;
  });
  const connection = await it.connect();
  return {
    ...it,
    runtime,
    router,
    log,
    undecodable,
    connection,
    pause: () => void (isPaused = true),
    async deliver(messageId, payload: string | Buffer = String(messageId), fields = {}) {
      connection.publish({ topic: 't/a', payload, qos: 1, messageId, ...fields });
      await it.clock.settle();
    },
    async connectAgain(connack = { sessionPresent: true }) {
      it.broker.connections.at(-1)!.cut();
      await it.clock.advance(100);
      return it.broker.acceptConnected(connack);
    },
  };
}

/** Handlers that a test ends, one by one. */
export class Held {
  readonly begun: unknown[] = [];
  readonly #ends = new Map<unknown, { resolve: (value?: unknown) => void; reject: (error: unknown) => void }>();

  readonly handle = (data: unknown): Promise<unknown> => {
    this.begun.push(data);
    return new Promise((resolve, reject) => this.#ends.set(data, { resolve, reject }));
  };

  end(data: unknown): void {
    this.#ends.get(data)!.resolve();
  }

  fail(data: unknown, error: unknown = new Error(`${String(data)} failed`)): void {
    this.#ends.get(data)!.reject(error);
  }
}
