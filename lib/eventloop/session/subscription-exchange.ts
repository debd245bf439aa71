import { encodeSubscribe, encodeUnsubscribe } from '../codec/encoder.js';
import { PacketType, type ProtocolVersion } from '../codec/packet-types.js';
import { MqttNotSupportedError, type DeliveryState, type MqttError } from '../errors.js';
import type { SubscribeOptions, SubscribeResult, UserProperties } from '../messages.js';
import type { Negotiated } from '../negotiated.js';
import { Operation } from './operation.js';

/** What a granted subscription is made of, to make it again when the broker has lost the session. @internal */
export interface DesiredSubscription {
  readonly options: SubscribeOptions;
  readonly subscriptionIdentifier: number | undefined;
  readonly userProperties: UserProperties | undefined;
}

/** A SUBSCRIBE from the call to its SUBACK. @internal */
export class SubscribeExchange extends Operation<SubscribeResult> {
  readonly acknowledgedBy = PacketType.Suback;
  wasSent = false;

  constructor(
    readonly filters: ReadonlyMap<string, SubscribeOptions>,
    readonly subscriptionIdentifier: number | undefined,
    readonly userProperties: UserProperties | undefined,
    /** Made by the session itself after the broker lost it. */
    readonly isRepeat: boolean,
  ) {
    super();
  }

  get names(): readonly string[] {
    return [...this.filters.keys()];
  }

  get description(): string {
    return `subscribe to ${quoted(this.names)}`;
  }

  get delivery(): DeliveryState {
    return this.wasSent ? 'unknown' : 'not-sent';
  }

  encode(id: number, version: ProtocolVersion): Buffer {
    return encodeSubscribe(id, this.filters, this, version);
  }

  /** What the server of this connection cannot do of it. */
  unsupported(negotiated: Negotiated): MqttError | undefined {
    if (
      this.subscriptionIdentifier !== undefined &&
      negotiated.protocolVersion === 5 &&
      !negotiated.subscriptionIdentifiersAvailable
    ) {
      return this.#notSupported('subscription identifiers', 'subscribe without one');
    }
    for (const filter of this.names) {
      if (!negotiated.sharedSubscriptionAvailable && filter.startsWith('$share/')) {
        return this.#notSupported(`shared subscriptions ("${filter}")`, 'subscribe to the filter itself');
      }
      if (!negotiated.wildcardSubscriptionAvailable && /[+#]/.test(filter)) {
        return this.#notSupported(`wildcard subscriptions ("${filter}")`, 'subscribe to each topic');
      }
    }
    return undefined;
  }

  #notSupported(feature: string, cure: string): MqttError {
    return new MqttNotSupportedError(feature, cure, this.delivery);
  }
}

/** An UNSUBSCRIBE from the call to its UNSUBACK. @internal */
export class UnsubscribeExchange extends Operation<void> {
  readonly acknowledgedBy = PacketType.Unsuback;
  wasSent = false;
  /** The granted subscriptions that it ends, should it come to nothing. */
  readonly ended = new Map<string, DesiredSubscription>();

  constructor(readonly names: readonly string[]) {
    super();
  }

  get description(): string {
    return `unsubscribe from ${quoted(this.names)}`;
  }

  get delivery(): DeliveryState {
    return this.wasSent ? 'unknown' : 'not-sent';
  }

  encode(id: number, version: ProtocolVersion): Buffer {
    return encodeUnsubscribe(id, this.names, version);
  }

  unsupported(): undefined {
    return undefined;
  }
}

/** @internal */
export type SubscriptionExchange = SubscribeExchange | UnsubscribeExchange;

function quoted(filters: readonly string[]): string {
  return filters.map((filter) => `"${filter}"`).join(', ');
}
