import type { Authentication } from './credentials/authentication.js';
import type { Credentials, CredentialsProvider } from './credentials/credentials.js';
import type { MqttError } from './errors.js';
import type { PublishProperties, QoS, UserProperties } from './messages.js';
import type { ConnectHook, ConnectTarget, TlsOptions, WebSocketOptions } from './network/network-options.js';
import type { Proxies, ProxyOptions } from './network/proxy-options.js';
import type { ResolvedTls } from './network/resolved-tls.js';

/** What happens to a publish when the request queue is full. @publicApi */
export type OverflowPolicy =
  /** The caller waits for room, in a bounded line (`maxWaiters`). */
  | 'wait'
  /** The publish rejects with {@link MqttQueueFullError}. */
  | 'reject'
  /** The oldest queued publish rejects with {@link MqttMessageDroppedError}. */
  | 'drop-oldest'
  /** This publish rejects with {@link MqttMessageDroppedError}. */
  | 'drop-newest';

/**
 * What happens to QoS 0 messages from the broker when handlers lag behind.
 * `backpressure` stops reading the socket, except while a publish waits for its acknowledgement: then QoS 0 is shed.
 * `drop-newest` always reads on and sheds.
 *
 * @publicApi
 */
export type IncomingOverflowPolicy = 'backpressure' | 'drop-newest';

/** When a QoS 1 or 2 message is acknowledged. @publicApi */
export type AcknowledgeMode =
  /** As soon as it was read. At most once for the handler. */
  | 'on-receive'
  /** When the handler has returned or its promise resolved. */
  | 'after-handler'
  /** By {@link IncomingMessage.acknowledge} alone. */
  | 'manual';

/** When the loop connects again by itself. @publicApi */
export type ReconnectPolicy =
  /** The first failure rejects `start`; a later loss closes the loop. */
  | 'never'
  /** The first failure rejects `start`; a later loss is retried. */
  | 'after-first-success'
  /** `start` resolves after the first attempt whatever its result, and attempts go on. */
  | 'always';

/** @publicApi */
export interface ReconnectOptions {
  /** Default `after-first-success`. */
  readonly policy?: ReconnectPolicy | undefined;
  /** Ceiling of the first delay, 1 to 3 600 000. Default 1 000. */
  readonly minDelayMs?: number | undefined;
  /** Ceiling of every delay, `minDelayMs` to 86 400 000. Default 120 000. */
  readonly maxDelayMs?: number | undefined;
  /** Growth per failed round, 1 to 10. Default 2. */
  readonly factor?: number | undefined;
  /** `full`: uniform between 0 and the ceiling. `none`: the ceiling. Default `full`. */
  readonly jitter?: 'full' | 'none' | undefined;
  /** How long a connection must last before delays start small again. Default 30 000. */
  readonly stableAfterMs?: number | undefined;
  /**
   * The first URL is the one to be at: every round begins with it; from a later one the loop returns, and loses nothing, once the
   * first can be reached. `returnAfterMs`: how long it stays before it looks, and between looks, 1 000 to 86 400 000, default
   * 300 000. Default false.
   */
  readonly preferFirst?: boolean | { readonly returnAfterMs?: number | undefined } | undefined;
  /** Decides instead: a delay in milliseconds, `'stop'`, or undefined for the default. */
  readonly retry?: ((error: MqttError, attempt: number) => number | 'stop' | undefined) | undefined;
}

/** The message that the broker publishes when this client vanishes. @publicApi */
export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array | string;
  /** Default 0. */
  readonly qos?: QoS | undefined;
  /** Default false. */
  readonly retain?: boolean | undefined;
  /** MQTT 5: the broker waits this long for a reconnect first. Default 0. */
  readonly delaySeconds?: number | undefined;
  /** MQTT 5. */
  readonly properties?: PublishProperties | undefined;
}

/** @publicApi */
export interface ThrottleOptions {
  /** Publishes, resends and subscribes per second; fractions allowed, 0.001 to 10 000 000. */
  readonly messagesPerSecond: number;
  /** How many may leave back to back after a pause. Default 1: evenly spaced. */
  readonly burst?: number | undefined;
  /** Bytes per second over the same packets. Default: no limit. */
  readonly bytesPerSecond?: number | undefined;
}

/**
 * Everything is optional. Options are validated and frozen at construction.
 *
 * @publicApi
 */
export interface EventLoopOptions {
  /**
   * `mqtt://host:port`, `mqtts:`, `ws:`, `wss:` (with a path) or `unix:/path`, or a list that is tried in turn. User information in a URL is used as credentials.
   * Default `mqtt://localhost:1883`.
   *
   * `mqtt+srv://domain` and `mqtts+srv://domain`: the servers that the domain's SRV records name.
   */
  readonly url?: string | readonly string[] | undefined;
  /** `auto`: 5, then 3.1.1 when the server refuses the version, or closes the connection on it without a word. 4 is MQTT 3.1.1. Default `auto`. */
  readonly protocolVersion?: 'auto' | 5 | 4 | undefined;
  /** 1 to 65 535 bytes of UTF-8. Default: random, stable for the life of the loop. */
  readonly clientId?: string | undefined;
  /** Start without a session (Clean Start, Clean Session). Default true. */
  readonly clean?: boolean | undefined;
  /** MQTT 5: how long the broker keeps the session after a disconnect, 0 to 4 294 967 295. Default 0; with `clean: false` it must be set for the session to survive on MQTT 5. */
  readonly sessionExpirySeconds?: number | undefined;
  /** 0 (off) to 65 535. Default 60. The server's value wins for the connection. */
  readonly keepAliveSeconds?: number | undefined;
  /** How long a PINGRESP may take, 1 to 3 600 000. Default: the smaller of 30 000 and half the keep alive. */
  readonly pingTimeoutMs?: number | undefined;
  /** Certificates, keys and versions for `mqtts:` and `wss:`. Default: what Node trusts, no client certificate. */
  readonly tls?: TlsOptions | undefined;
  /** Headers and signed URLs for `ws:` and `wss:`, which need the package `ws`. */
  readonly webSocket?: WebSocketOptions | undefined;
  /** Opens the byte stream under the connection in place of TCP and Unix sockets. */
  readonly connect?: ConnectHook | undefined;
  /** An HTTP proxy that opens a tunnel to the server (CONNECT). Default: none, whatever the environment says. */
  readonly proxy?: ProxyOptions | undefined;
  /** One deadline over credentials, DNS, proxy, CONNECT and CONNACK, 1 to 3 600 000. Default 10 000. */
  readonly connectTimeoutMs?: number | undefined;
  /** User name and password, or a function that is asked for them before every attempt. */
  readonly credentials?: Credentials | CredentialsProvider | undefined;
  /**
   * How long before they expire credentials are renewed, at the latest; at the earliest it is twice as long, at random, so that
   * devices do not renew together. 1 to 86 400, and no more than a quarter of the lifetime. Default: a tenth of the lifetime, at
   * most 300.
   */
  readonly renewBeforeSeconds?: number | undefined;
  /** MQTT 5 enhanced authentication. With it there is no falling back to MQTT 3.1.1. */
  readonly authentication?: Authentication | undefined;
  readonly will?: Will | undefined;
  readonly reconnect?: ReconnectOptions | undefined;
  /** Unacknowledged QoS 1/2 publishes, 1 to 65 519. The server's Receive Maximum can lower it. Default 100. */
  readonly inflight?: number | undefined;
  /** Requests that wait for their turn, 1 to 10 000 000. Default 1 000. */
  readonly requestCapacity?: number | undefined;
  /** Their bytes, 1 024 upwards. Default 16 MiB. */
  readonly requestCapacityBytes?: number | undefined;
  /** Default `wait`. */
  readonly overflow?: OverflowPolicy | undefined;
  /** Callers that may wait for the queue under `wait`; further ones reject. 0 to 10 000 000. Default 10 000. */
  readonly maxWaiters?: number | undefined;
  /** Messages per second, or more precisely. Default: no limit. */
  readonly throttle?: number | ThrottleOptions | undefined;
  /** QoS 0 messages whose handlers have not settled. Default 1 000. */
  readonly incomingCapacity?: number | undefined;
  /** Their bytes. More bytes of unacknowledged QoS 1/2 messages stop the reading, too. Default 16 MiB. */
  readonly incomingCapacityBytes?: number | undefined;
  /** Default `backpressure`. */
  readonly incomingOverflow?: IncomingOverflowPolicy | undefined;
  /** QoS 1/2 messages that may be unacknowledged, 1 to 65 535. Advertised on MQTT 5. Default 100. */
  readonly receiveMaximum?: number | undefined;
  /** MQTT 5: how many topic aliases the server may use towards us, 0 to 65 535. Default 0. */
  readonly topicAliasMaximum?: number | undefined;
  /** MQTT 5: how many topic aliases we use towards the server, if it allows them, 0 to 65 535. Default 16. */
  readonly topicAliases?: number | undefined;
  /** Whole packets, both directions; advertised on MQTT 5. 128 to 268 435 460. Default 256 KiB. */
  readonly maxPacketBytes?: number | undefined;
  /** Default `after-handler`. */
  readonly acknowledge?: AcknowledgeMode | undefined;
  /** MQTT 5: go where a server that refuses or disconnects us refers to, with the same credentials. At most five times in a row. Default false. */
  readonly followServerReference?: boolean | undefined;
  /** MQTT 5: ask for Response Information, which `negotiated` then shows if the server gives it. Default false. */
  readonly requestResponseInformation?: boolean | undefined;
  /** MQTT 5: let the server add reason strings and user properties to any packet. Default true. */
  readonly requestProblemInformation?: boolean | undefined;
  /** MQTT 5 user properties of CONNECT. */
  readonly userProperties?: UserProperties | undefined;
}

/** A server to try. @internal */
export type Server = ConnectTarget & {
  /** For people: scheme, host, port and path, never user information or a query. */
  readonly label: string;
  /** Of a WebSocket URL: a query can be a signature. Hidden. */
  readonly search?: string | undefined;
  readonly credentials: Credentials | undefined;
  /** Its SRV records name the servers to connect to. */
  readonly isSrvDomain?: true | undefined;
};

/** Options with every default filled in, frozen. @internal */
export interface ResolvedOptions {
  readonly servers: readonly Server[];
  readonly protocolVersion: 'auto' | 5 | 4;
  readonly clientId: string;
  readonly clean: boolean;
  readonly sessionExpirySeconds: number;
  readonly keepAliveSeconds: number;
  readonly pingTimeoutMs: number | undefined;
  readonly tls: ResolvedTls | undefined;
  readonly webSocket: WebSocketOptions | undefined;
  readonly connect: ConnectHook | undefined;
  readonly proxy: Proxies | undefined;
  readonly connectTimeoutMs: number;
  readonly credentials: Credentials | CredentialsProvider | undefined;
  readonly renewBeforeSeconds: number | undefined;
  readonly authentication: Authentication | undefined;
  readonly will: (Will & { readonly payload: Buffer; readonly qos: QoS; readonly retain: boolean }) | undefined;
  readonly reconnect: Required<Omit<ReconnectOptions, 'retry' | 'preferFirst'>> &
    Pick<ReconnectOptions, 'retry'> & {
      readonly policy: ReconnectPolicy;
      readonly minDelayMs: number;
      readonly maxDelayMs: number;
      readonly factor: number;
      readonly jitter: 'full' | 'none';
      readonly stableAfterMs: number;
      readonly preferFirst: { readonly returnAfterMs: number } | undefined;
    };
  readonly inflight: number;
  readonly requestCapacity: number;
  readonly requestCapacityBytes: number;
  readonly overflow: OverflowPolicy;
  readonly maxWaiters: number;
  readonly throttle:
    | { readonly messagesPerSecond: number; readonly burst: number; readonly bytesPerSecond: number | undefined }
    | undefined;
  readonly incomingCapacity: number;
  readonly incomingCapacityBytes: number;
  readonly incomingOverflow: IncomingOverflowPolicy;
  readonly receiveMaximum: number;
  readonly topicAliasMaximum: number;
  readonly topicAliases: number;
  readonly maxPacketBytes: number;
  readonly acknowledge: AcknowledgeMode;
  readonly followServerReference: boolean;
  readonly requestResponseInformation: boolean;
  readonly requestProblemInformation: boolean;
  readonly userProperties: UserProperties | undefined;
}
