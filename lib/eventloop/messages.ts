/** @publicApi */
export type QoS = 0 | 1 | 2;

/** MQTT 5 user properties. A name may carry several values. @publicApi */
export type UserProperties = Readonly<Record<string, string | readonly string[]>>;

/** MQTT 5 properties of a PUBLISH. On an MQTT 3.1.1 connection they are not sent. @publicApi */
export interface PublishProperties {
  /** Whether the payload is UTF-8 text. */
  readonly payloadFormatIndicator?: boolean | undefined;
  /** How long the broker may keep the message for a subscriber, 0 to 4 294 967 295. */
  readonly messageExpirySeconds?: number | undefined;
  readonly responseTopic?: string | undefined;
  readonly correlationData?: Uint8Array | undefined;
  readonly contentType?: string | undefined;
  readonly userProperties?: UserProperties | undefined;
}

/** Properties of a message that the broker delivered. @publicApi */
export interface IncomingProperties extends PublishProperties {
  /** The identifiers of the subscriptions that matched. */
  readonly subscriptionIdentifiers?: readonly number[] | undefined;
}

/** Ways to give up waiting for one operation. @publicApi */
export interface OperationOptions {
  /** Aborting rejects the operation with {@link MqttAbortError}; what was not sent yet is taken back. */
  readonly signal?: AbortSignal | undefined;
  /** Rejects with {@link MqttTimeoutError} after this many milliseconds. Default: no limit. */
  readonly timeoutMs?: number | undefined;
}

/** @publicApi */
export interface PublishOptions extends OperationOptions {
  /** Default 0. */
  readonly qos?: QoS | undefined;
  /** Default false. */
  readonly retain?: boolean | undefined;
  readonly properties?: PublishProperties | undefined;
}

/** How the broker answered a publish. @publicApi */
export interface PublishResult {
  readonly qos: QoS;
  /** 0 for success; 0x10 when an MQTT 5 broker says that nobody subscribes. QoS 0 and MQTT 3.1.1: always 0. */
  readonly reasonCode: number;
  readonly reasonString?: string;
  readonly userProperties?: UserProperties;
}

/** A publish that the request queue has taken. @publicApi */
export interface Delivery {
  /** Settles like the promise of `publish`. A rejection nobody asked for is not an unhandled one. */
  readonly completed: Promise<PublishResult>;
}

/** @publicApi */
export interface SubscribeOptions {
  /** The most the broker may grant. Default 0. */
  readonly qos?: QoS | undefined;
  /** MQTT 5: do not deliver what this client published. Not allowed on shared subscriptions. */
  readonly noLocal?: boolean | undefined;
  /** MQTT 5: keep the publisher's retain flag. */
  readonly retainAsPublished?: boolean | undefined;
  /** MQTT 5: 0 send retained messages, 1 only for a new subscription, 2 never. */
  readonly retainHandling?: 0 | 1 | 2 | undefined;
}

/** @publicApi */
export interface SubscribeRequestOptions extends SubscribeOptions, OperationOptions {
  /** MQTT 5: comes back with every message that this subscription matched, 1 to 268 435 455. */
  readonly subscriptionIdentifier?: number | undefined;
  readonly userProperties?: UserProperties | undefined;
}

/** @publicApi */
export interface SubscribeResult {
  /** The granted QoS of each filter. */
  readonly granted: ReadonlyMap<string, QoS>;
}

/** A message from the broker. @publicApi */
export interface IncomingMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly properties: IncomingProperties | undefined;
  /**
   * Releases the acknowledgement of a QoS 1 or 2 message; acknowledgements still leave in order of receipt [MQTT-4.6.0-2].
   * The first call counts. Messages that are not acknowledged by hand are acknowledged as the `acknowledge` option says.
   *
   * @param reasonCode MQTT 5 reason, default 0; 0x80 and above refuse the message. MQTT 3.1.1 has no reasons.
   * @returns false when there is nothing left to release: QoS 0, released before, or the connection that brought it is gone.
   */
  acknowledge(reasonCode?: number): boolean;
  /**
   * Leaves a QoS 1 or 2 message to the broker: it is neither acknowledged nor refused, whatever becomes of its handler, and
   * comes again on the next connection if the broker keeps the session. Until then it holds a place of Receive Maximum, and
   * the acknowledgements of later messages wait behind it [MQTT-4.6.0-2].
   *
   * @returns false when there is nothing left to decide: QoS 0, acknowledged or left before
   */
  leave(): boolean;
}

/** Settles a message: when it returns or resolves, when it throws or rejects. @publicApi */
export type MessageHandler = (message: IncomingMessage) => unknown;
