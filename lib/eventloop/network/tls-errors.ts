import { MqttTlsError, type TlsFailure } from '../connection-errors.js';

/** A server, or a proxy. */
interface Labelled {
  readonly label: string;
}

interface Finding {
  readonly reason: TlsFailure;
  /** What it means, and what to do. */
  readonly problem: string;
}

const TLS_ALERT = 0x15;
const TLS_MAJOR_VERSION = 0x03;
const RENEW = 'renew it on the server, and check the clock of this computer';
const TRUST = 'give the authority to trust as tls.ca or tls.caFile';
const OURS = 'check tls.cert and tls.key, and which authorities the server trusts';
/** A certificate is the other side's bytes. */
const MOST_NAMES_CHARACTERS = 200;

/** What Node finds in the server's certificate. */
const CERTIFICATE_CODES: ReadonlyMap<string, Finding> = new Map([
  ['CERT_HAS_EXPIRED', finding('certificate-expired', `its certificate, or one that signed it, has expired; ${RENEW}`)],
  ['CERT_NOT_YET_VALID', finding('certificate-not-yet-valid', `its certificate is not valid yet; ${RENEW}`)],
  ['CERT_REVOKED', finding('certificate-revoked', 'its certificate is on a list of tls.crl; replace it on the server')],
  ['CRL_HAS_EXPIRED', finding('certificate-invalid', 'a list of tls.crl has expired; fetch a new one')],
  [
    'UNABLE_TO_GET_CRL',
    finding('certificate-invalid', 'no list of tls.crl covers its certificate; add the one of its authority'),
  ],
  [
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    finding('self-signed', 'its certificate is self-signed; to trust it, give that very certificate as tls.ca'),
  ],
  ['SELF_SIGNED_CERT_IN_CHAIN', finding('unknown-ca', `its certificate leads to an authority not trusted; ${TRUST}`)],
  ['UNABLE_TO_GET_ISSUER_CERT', finding('unknown-ca', `an authority of its certificate is unknown; ${TRUST}`)],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', finding('unknown-ca', `the authority of its certificate is unknown; ${TRUST}`)],
  [
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    finding('unknown-ca', `its certificate leads to no known authority, or the server leaves out a link; ${TRUST}`),
  ],
  ['CERT_UNTRUSTED', finding('unknown-ca', `the authority of its certificate is not trusted; ${TRUST}`)],
  [
    'CERT_SIGNATURE_FAILURE',
    finding('unknown-ca', `the authority that it names has not signed its certificate; ${TRUST}`),
  ],
]);

/** What OpenSSL says, by the end of its code: what stands before differs between its versions. */
const OPENSSL_CODES: readonly (readonly [RegExp, Finding])[] = [
  [
    /_ALERT_CERTIFICATE_REQUIRED$/,
    finding('client-certificate-required', 'the server wants a client certificate; give tls.cert and tls.key'),
  ],
  [
    /_ALERT_CERTIFICATE_REVOKED$/,
    finding('client-certificate-revoked', 'the server has the client certificate on a revocation list; get a new one'),
  ],
  [
    /_ALERT_CERTIFICATE_EXPIRED$/,
    finding('client-certificate-expired', 'the client certificate has expired, says the server; get a new one'),
  ],
  [
    /_ALERT_UNKNOWN_CA$/,
    finding('client-certificate-rejected', `the server does not know the client certificate's authority; ${OURS}`),
  ],
  [
    /_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_UNKNOWN|ACCESS_DENIED|DECRYPT_ERROR)$/,
    finding('client-certificate-rejected', `the server rejects the client certificate; ${OURS}`),
  ],
  [
    /_PROTOCOL_VERSION$|_UNSUPPORTED_PROTOCOL$|_VERSION_TOO_LOW$/,
    finding(
      'protocol-version',
      'there is no TLS version that both sides take; check tls.minVersion and tls.maxVersion',
    ),
  ],
  [/_NO_APPLICATION_PROTOCOL$/, finding('alpn', 'the server takes none of tls.alpnProtocols')],
  [
    /_WRONG_VERSION_NUMBER$|_PACKET_LENGTH_TOO_LONG$|_HTTP_REQUEST$|_RECORD_LAYER_FAILURE$/,
    finding('not-tls', 'what answers there does not speak TLS; check the port, or use the scheme without TLS'),
  ],
  [
    /_HANDSHAKE_FAILURE$/,
    finding('handshake', 'the server refuses the handshake; it may want a client certificate, or other tls.ciphers'),
  ],
];

const CLOSED: Finding = finding(
  'closed',
  'the server closed the connection during the TLS handshake; check that the port speaks TLS',
);

/** What ended a TLS handshake, in words that name the check and the cure. @internal */
export function tlsError(cause: NodeJS.ErrnoException, server: Labelled): MqttTlsError {
  const known = tlsAlertOf(cause, server);
  if (known !== undefined) return known;
  const { code = '', message } = cause;
  if (code === 'ECONNRESET' || code === 'EPIPE') return made(CLOSED, server, cause);
  // Node tells the findings about a certificate by the names of OpenSSL, which have no prefix.
  const isOfCertificate = cause.errno === undefined && /^[A-Z]+(_[A-Z]+)+$/.test(code) && !code.startsWith('ERR_');
  return isOfCertificate
    ? made(finding('certificate-invalid', `its certificate is not acceptable: ${message}`), server, cause)
    : made(finding('handshake', `the TLS handshake failed: ${message}`), server, cause);
}

/** The error of a stream, if it is known to be about TLS. @internal */
export function tlsAlertOf(cause: unknown, server: Labelled): MqttTlsError | undefined {
  if (!(cause instanceof Error) || !('code' in cause) || typeof cause.code !== 'string') return undefined;
  const { code, message } = cause;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return made(wrongHost(cause), server, cause);
  if (!code.startsWith('ERR_SSL_')) {
    const found = CERTIFICATE_CODES.get(code);
    return found && made(found, server, cause);
  }
  const found = OPENSSL_CODES.find(([end]) => end.test(code))?.[1];
  return made(found ?? finding('handshake', `TLS failed: ${message}`), server, cause);
}

/** An answer to CONNECT that is the alert of a TLS server. @internal */
export function tlsExpected(firstBytes: Buffer | undefined, server: Labelled, cause: Error): MqttTlsError | undefined {
  const isAlert = firstBytes?.[0] === TLS_ALERT && firstBytes[1] === TLS_MAJOR_VERSION;
  return isAlert ? made(finding('tls-expected', 'this port speaks TLS; use mqtts: or wss:'), server, cause) : undefined;
}

function wrongHost({
  host,
  cert,
}: Error & { readonly host?: string; readonly cert?: { subjectaltname?: string } }): Finding {
  const names = cert?.subjectaltname ?? 'nobody by a name of today (subjectAltName)';
  const shortened = names.length > MOST_NAMES_CHARACTERS ? `${names.slice(0, MOST_NAMES_CHARACTERS)}…` : names;
  return finding(
    'wrong-host',
    `its certificate is not for ${host}, but for ${JSON.stringify(shortened)}; connect by such a name, or give it as tls.servername`,
  );
}

function finding(reason: TlsFailure, problem: string): Finding {
  return { reason, problem };
}

function made({ reason, problem }: Finding, server: Labelled, cause: Error): MqttTlsError {
  return new MqttTlsError(reason, server.label, problem, { cause });
}
