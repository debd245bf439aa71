import {
  MqttConnectionRefusedError,
  MqttCredentialsError,
  MqttProtocolError,
  MqttProxyError,
  MqttServerDisconnectError,
  MqttWebSocketError,
} from '../connection-errors.js';
import type { MqttError } from '../errors.js';

/**
 * What a failure means for the next attempt.
 * `transient`: try again later. `credentials`: ask for credentials again, later. `takeover`: another client uses our identifier,
 * so come back slowly. `permanent`: the same attempt would fail for ever.
 *
 * @internal
 */
export type ErrorClass = 'transient' | 'credentials' | 'takeover' | 'permanent';

const BAD_USER_NAME_OR_PASSWORD = 0x86;
const NOT_AUTHORIZED = 0x87;
const SESSION_TAKEN_OVER = 0x8e;

/** HTTP: headers or the signature of the URL are wrong, or have expired. */
const NOT_ALLOWED: ReadonlySet<number | undefined> = new Set([401, 403]);

/** Refusals that say: this very CONNECT will never be accepted. */
const PERMANENT_REFUSALS: ReadonlySet<number> = new Set([
  0x81, // malformed packet
  0x82, // protocol error
  0x84, // unsupported protocol version
  0x85, // client identifier not valid
  0x8a, // banned
  0x8c, // bad authentication method
  0x90, // topic name invalid (the will's)
  0x95, // packet too large
  0x99, // payload format invalid (the will's)
  0x9a, // retain not supported (the will's)
  0x9b, // QoS not supported (the will's)
]);

/** @internal */
export function classify(error: MqttError): ErrorClass {
  if (error instanceof MqttCredentialsError) return 'credentials';
  if (error instanceof MqttProxyError) return error.problem === 'credentials' ? 'credentials' : 'transient';
  if (error instanceof MqttWebSocketError && NOT_ALLOWED.has(error.status)) return 'credentials';
  const refused = error instanceof MqttConnectionRefusedError;
  if (!refused && !(error instanceof MqttServerDisconnectError)) return 'transient';
  switch (error.reasonCode) {
    case BAD_USER_NAME_OR_PASSWORD:
    case NOT_AUTHORIZED:
      return 'credentials';
    case SESSION_TAKEN_OVER:
      return 'takeover';
    default:
      return refused && PERMANENT_REFUSALS.has(error.reasonCode) ? 'permanent' : 'transient';
  }
}

/** What the server said, or what we told it. @internal */
export function reasonCodeOf(error: MqttError): number | undefined {
  return isServersWord(error) || error instanceof MqttProtocolError ? error.reasonCode : undefined;
}

/** @internal */
export function serverReferenceOf(error: MqttError): string | undefined {
  return isServersWord(error) ? error.serverReference : undefined;
}

function isServersWord(error: MqttError): error is MqttConnectionRefusedError | MqttServerDisconnectError {
  return error instanceof MqttConnectionRefusedError || error instanceof MqttServerDisconnectError;
}
