import { brand, hex, MqttError, type DeliveryState } from './errors.js';

/** The network connection could not be made, or ended. @publicApi */
export class MqttConnectionError extends MqttError {
  static {
    brand(this, 'MqttConnectionError');
  }
  override readonly code: 'MQTT_CONNECT_FAILED' | 'MQTT_CONNECTION_LOST';

  constructor(
    code: 'MQTT_CONNECT_FAILED' | 'MQTT_CONNECTION_LOST',
    message: string,
    readonly delivery: DeliveryState = 'not-sent',
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
  }
}

/**
 * What failed when TLS was set up.
 * `certificate-…`, `self-signed`, `unknown-ca` and `wrong-host` are about the server's certificate, `client-certificate-…` is what
 * the server says of ours. `not-tls`: TLS was asked for where there is none; `tls-expected`: the other way round. `closed`: the server ended the handshake without a word. `unusable-files`: certificates or keys of
 * ours that cannot be read any more, or no longer fit together.
 *
 * @publicApi
 */
export type TlsFailure =
  | 'certificate-expired'
  | 'certificate-not-yet-valid'
  | 'certificate-revoked'
  | 'certificate-invalid'
  | 'self-signed'
  | 'unknown-ca'
  | 'wrong-host'
  | 'client-certificate-required'
  | 'client-certificate-revoked'
  | 'client-certificate-expired'
  | 'client-certificate-rejected'
  | 'protocol-version'
  | 'alpn'
  | 'not-tls'
  | 'tls-expected'
  | 'closed'
  | 'handshake'
  | 'unusable-files';

/** No secure connection could be made. Retried: certificates are renewed. @publicApi */
export class MqttTlsError extends MqttError {
  static {
    brand(this, 'MqttTlsError');
  }
  override readonly code = 'MQTT_TLS';

  constructor(
    readonly reason: TlsFailure,
    /** Without credentials. */
    readonly server: string,
    /** What failed, and what to do about it. */
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`no secure connection to ${server}: ${problem}`, options);
  }
}

/** The server does not open a WebSocket for MQTT. @publicApi */
export class MqttWebSocketError extends MqttError {
  static {
    brand(this, 'MqttWebSocketError');
  }
  override readonly code = 'MQTT_WEBSOCKET';

  constructor(
    /** Without credentials and without a query. */
    readonly server: string,
    /** What failed, and what to do about it. */
    problem: string,
    /** The HTTP status of a refusal. */
    readonly status?: number | undefined,
    options?: ErrorOptions,
  ) {
    super(`no WebSocket to ${server}: ${problem}`, options);
  }
}

/** The CONNECT was answered with a refusal. @publicApi */
export class MqttConnectionRefusedError extends MqttError {
  static {
    brand(this, 'MqttConnectionRefusedError');
  }
  override readonly code = 'MQTT_CONNECTION_REFUSED';

  constructor(
    readonly reasonCode: number,
    readonly reason: string,
    readonly server: string,
    /** Where the server sends us instead; followed only with `followServerReference`. */
    readonly serverReference?: string | undefined,
  ) {
    super(`${server} refused the connection: ${reason} (${hex(reasonCode)})`);
  }
}

/** The server ended the connection with a DISCONNECT. @publicApi */
export class MqttServerDisconnectError extends MqttError {
  static {
    brand(this, 'MqttServerDisconnectError');
  }
  override readonly code = 'MQTT_SERVER_DISCONNECTED';

  constructor(
    readonly reasonCode: number,
    readonly reason: string,
    /** Where the server sends us instead; followed only with `followServerReference`. */
    readonly serverReference?: string | undefined,
  ) {
    super(`the server closed the connection: ${reason} (${hex(reasonCode)})`);
  }
}

/** The server broke the protocol; the connection was closed. @publicApi */
export class MqttProtocolError extends MqttError {
  static {
    brand(this, 'MqttProtocolError');
  }
  override readonly code = 'MQTT_PROTOCOL_ERROR';

  constructor(
    message: string,
    /** The reason an MQTT 5 DISCONNECT carries: 0x81 malformed, 0x82 protocol error, 0x93, 0x94, 0x95, … */
    readonly reasonCode = 0x82,
    options?: ErrorOptions,
  ) {
    super(`the server broke the protocol: ${message}`, options);
  }
}

/** No byte came within the keep-alive deadline: the link is dead or half open. @publicApi */
export class MqttKeepAliveTimeoutError extends MqttError {
  static {
    brand(this, 'MqttKeepAliveTimeoutError');
  }
  override readonly code = 'MQTT_KEEP_ALIVE_TIMEOUT';

  constructor(
    readonly keepAliveSeconds: number,
    readonly silentMs: number,
  ) {
    super(
      `no byte from the server for ${Math.round(silentMs)} ms (keep alive ${keepAliveSeconds} s): the link is dead; check the network, or raise keepAliveSeconds on slow links`,
    );
  }
}

/** No accepted CONNACK within `connectTimeoutMs`. @publicApi */
export class MqttConnectTimeoutError extends MqttError {
  static {
    brand(this, 'MqttConnectTimeoutError');
  }
  override readonly code = 'MQTT_CONNECT_TIMEOUT';

  constructor(
    readonly server: string,
    readonly timeoutMs: number,
    readonly step: string,
    options?: ErrorOptions,
  ) {
    super(
      `${server} did not accept the connection within ${timeoutMs} ms (while ${step}); check host, port and firewall, or raise connectTimeoutMs`,
      options,
    );
  }
}

/**
 * The credentials provider failed or returned something unusable. The `cause` is what the provider threw; as it may quote a secret,
 * `inspect`, and with it every logger, shows its class and no more.
 *
 * @publicApi
 */
export class MqttCredentialsError extends MqttError {
  static {
    brand(this, 'MqttCredentialsError');
  }
  override readonly code = 'MQTT_CREDENTIALS';

  /** @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    const { cause } = this;
    const kind = cause instanceof Error ? cause.constructor.name : typeof cause;
    const shown = cause === undefined ? '' : `, cause: ${kind} (not shown, as it may quote a secret)`;
    return `${this.stack ?? String(this)} { code: '${this.code}'${shown} }`;
  }
}

/**
 * Why there is no tunnel through a proxy.
 * `unreachable`: no connection to it. `tls`: no secure one; the cause is a {@link MqttTlsError}. `credentials`: it wants others (407, 401). `refused`: any other status than 2xx.
 * `invalid-response`: its answer is no HTTP/1, or without bounds. `closed`: it hung up before it had answered.
 *
 * @publicApi
 */
export type ProxyProblem = 'unreachable' | 'tls' | 'credentials' | 'refused' | 'invalid-response' | 'closed';

/** The proxy did not open a tunnel to the server. @publicApi */
export class MqttProxyError extends MqttError {
  static {
    brand(this, 'MqttProxyError');
  }
  override readonly code = 'MQTT_PROXY';

  constructor(
    /** Scheme, host and port. */
    readonly proxy: string,
    readonly problem: ProxyProblem,
    message: string,
    /** What the proxy answered, when it answered in HTTP. */
    readonly status?: number | undefined,
    options?: ErrorOptions,
  ) {
    super(`the proxy ${proxy} ${message}`, options);
  }
}
