import type { Credentials } from './credentials/credentials.js';
import type { OptionChecks } from './option-checks.js';
import type { Server } from './options.js';

const DEFAULT_PORT = 1883;
const EXPECTED = 'mqtt://host[:port], user information optional';

/** Reads the `url` option; what is wrong is reported without repeating user information. @internal */
export function parseServers(url: unknown, checks: OptionChecks): readonly Server[] {
  const urls: readonly unknown[] = Array.isArray(url) ? url : [url];
  if (urls.length === 0) checks.report('url', url, `${EXPECTED}, or a list with at least one`);
  return urls.flatMap((entry, index) => parseServer(Array.isArray(url) ? `url[${index}]` : 'url', entry, checks) ?? []);
}

function parseServer(option: string, url: unknown, checks: OptionChecks): Server | undefined {
  if (typeof url !== 'string' || !URL.canParse(url)) {
    checks.report(
      option,
      typeof url === 'string' ? withoutSecrets(url) : typeof url === 'object' ? '…' : url,
      EXPECTED,
    );
    return undefined;
  }
  const parsed = new URL(url);
  if (parsed.protocol !== 'mqtt:') {
    checks.report(
      option,
      withoutSecrets(url),
      `${EXPECTED}; TLS, WebSocket and Unix sockets are not available in this version`,
    );
    return undefined;
  }
  const extra = parsed.search || parsed.hash || (parsed.pathname === '/' ? '' : parsed.pathname);
  if (parsed.hostname === '' || extra !== '') {
    checks.report(option, withoutSecrets(url), `${EXPECTED}, and nothing behind it: options have names of their own`);
    return undefined;
  }
  return server(parsed.hostname, parsed.port, userInformation(option, parsed, checks));
}

function server(hostname: string, portText: string, credentials: Credentials | undefined): Server {
  const port = portText === '' ? DEFAULT_PORT : Number(portText);
  return Object.freeze({
    // An IPv6 address stands in brackets in a URL and without them elsewhere.
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port,
    label: `mqtt://${hostname}:${port}`,
    credentials,
  });
}

function userInformation(option: string, { username, password }: URL, checks: OptionChecks): Credentials | undefined {
  if (username === '' && password === '') return undefined;
  try {
    return hidden({
      ...(username === '' ? {} : { username: decodeURIComponent(username) }),
      ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    });
  } catch {
    checks.report(option, '…', 'percent-encoded user information');
    return undefined;
  }
}

/**
 * The first usable entry of a Server Reference: host names or addresses with optional ports, separated by spaces (section 4.11).
 *
 * @internal
 */
export function parseServerReference(reference: string, credentials: Credentials | undefined): Server | undefined {
  for (const entry of reference.split(' ')) {
    const url = `mqtt://${entry}`;
    if (entry === '' || !URL.canParse(url)) continue;
    const { hostname, host, port } = new URL(url);
    // Nothing but host and port: a server must not slip user information into our logs.
    if (host === entry) return server(hostname, port, credentials);
  }
  return undefined;
}

/** The same credentials, which `inspect`, `JSON.stringify` and loggers see nothing of. @internal */
export function hidden(credentials: Credentials): Credentials {
  const properties = Object.entries(credentials).map(([name, value]) => [name, { value, enumerable: false }]);
  return Object.freeze(Object.defineProperties({}, Object.fromEntries(properties)) as Credentials);
}

/** Passwords stand before an "@", tokens behind "?" and "#", also where the rest is no URL. */
function withoutSecrets(url: string): string {
  return url.replace(/^([a-z][a-z\d+.-]*:\/\/)?[^]*@/i, '$1…@').replace(/[?#][^]*/, '…');
}
