import { Buffer } from 'node:buffer';
import { isIP } from 'node:net';
import type { Credentials } from './credentials/credentials.js';
import { hidden } from './hidden.js';
import type { OptionChecks } from './option-checks.js';
import type { Server } from './options.js';

const DEFAULT_PORTS = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 } as const;
const EXPECTED =
  'mqtt:// or mqtts://host[:port], ws:// or wss://host[:port][/path], user information optional, or unix:/path';
/** What an address of a Unix socket can hold on Linux, less its terminating zero. */
const LONGEST_SOCKET_PATH_BYTES = 107;

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
  const scheme = parsed.protocol.slice(0, -1);
  if (scheme === 'unix') return parseUnix(option, parsed, checks);
  if (scheme === 'mqtt+srv' || scheme === 'mqtts+srv') return parseSrv(option, scheme, parsed, checks);
  if (scheme !== 'mqtt' && scheme !== 'mqtts' && scheme !== 'ws' && scheme !== 'wss') {
    checks.report(option, withoutSecrets(url), EXPECTED);
    return undefined;
  }
  const isWebSocket = scheme === 'ws' || scheme === 'wss';
  const path = parsed.pathname === '/' ? '' : parsed.pathname;
  const extra = isWebSocket ? parsed.hash : path + parsed.search + parsed.hash;
  if (parsed.hostname === '' || extra !== '') {
    checks.report(option, withoutSecrets(url), `${EXPECTED}, and nothing behind it: options have names of their own`);
    return undefined;
  }
  return networkServer(scheme, parsed, userInformation(option, parsed, checks));
}

function networkServer(
  scheme: Exclude<Server['scheme'], 'unix'>,
  { hostname, port: portText, pathname, search }: URL,
  credentials: Credentials | undefined,
): Server {
  const port = portText === '' ? DEFAULT_PORTS[scheme] : Number(portText);
  // An IPv6 address stands in brackets in a URL and without them elsewhere.
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const label = `${scheme}://${hostname}:${port}`;
  if (scheme === 'mqtt' || scheme === 'mqtts') return Object.freeze({ scheme, host, port, label, credentials });
  const server: Server = { scheme, host, port, path: pathname, label: `${label}${pathname}`, credentials };
  return Object.freeze(Object.defineProperty(server, 'search', { value: search, enumerable: false }));
}

/** A domain whose SRV records name the servers. */
function parseSrv(
  option: string,
  scheme: 'mqtt+srv' | 'mqtts+srv',
  parsed: URL,
  checks: OptionChecks,
): Server | undefined {
  const { hostname, port, pathname, search, hash, href } = parsed;
  const isDomain = /^[\w-]+(\.[\w-]+)*$/.test(hostname) && isIP(hostname) === 0;
  if (!isDomain || port !== '' || pathname.length > 1 || search !== '' || hash !== '') {
    checks.report(
      option,
      withoutSecrets(href),
      `${scheme}://domain, and no port or path: SRV records name hosts and ports`,
    );
    return undefined;
  }
  const from = scheme === 'mqtt+srv' ? 'mqtt' : 'mqtts';
  const credentials = userInformation(option, parsed, checks);
  const label = `${scheme}://${hostname}`;
  return Object.freeze({
    scheme: from,
    host: hostname,
    port: DEFAULT_PORTS[from],
    label,
    credentials,
    isSrvDomain: true,
  });
}

/** A server that an SRV record of the domain names. @internal */
export function srvTarget(domain: Server & { readonly scheme: 'mqtt' | 'mqtts' }, host: string, port: number): Server {
  return networkServer(domain.scheme, new URL(`mqtt://${host}:${port}`), domain.credentials);
}

/** `unix:/run/broker.sock` or `unix:///run/broker.sock`. */
function parseUnix(
  option: string,
  { host, pathname, search, hash, href }: URL,
  checks: OptionChecks,
): Server | undefined {
  const path = unescaped(pathname);
  const isPath = path !== undefined && path.startsWith('/') && path.length > 1 && !path.includes('\0');
  if (host !== '' || search !== '' || hash !== '' || !isPath || Buffer.byteLength(path) > LONGEST_SOCKET_PATH_BYTES) {
    checks.report(
      option,
      withoutSecrets(href),
      `unix:/path with an absolute path of at most ${LONGEST_SOCKET_PATH_BYTES} bytes, and nothing else`,
    );
    return undefined;
  }
  return Object.freeze({ scheme: 'unix', path, label: `unix:${path}`, credentials: undefined });
}

function userInformation(option: string, parsed: URL, checks: OptionChecks): Credentials | undefined {
  if (parsed.username === '' && parsed.password === '') return undefined;
  const username = unescaped(parsed.username);
  const password = unescaped(parsed.password);
  if (username === undefined || password === undefined) {
    checks.report(option, '…', 'percent-encoded user information');
    return undefined;
  }
  return hidden({ ...(username === '' ? {} : { username }), ...(password === '' ? {} : { password }) });
}

function unescaped(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/**
 * The first usable entry of a Server Reference: host names or addresses with optional ports, separated by spaces (section 4.11).
 * It is reached as the server was that refers to it, so that TLS is never lost on the way.
 *
 * @internal
 */
export function parseServerReference(reference: string, from: Server): Server | undefined {
  if (from.scheme === 'unix') return undefined;
  for (const entry of reference.split(' ')) {
    const url = `mqtt://${entry}${'path' in from ? from.path : ''}`;
    if (entry === '' || !URL.canParse(url)) continue;
    const parsed = new URL(url);
    // Nothing but host and port: a server must not slip user information into our logs.
    if (parsed.host === entry) return networkServer(from.scheme, parsed, from.credentials);
  }
  return undefined;
}

/** Passwords stand before an "@", tokens behind "?" and "#", also where the rest is no URL. */
function withoutSecrets(url: string): string {
  return url.replace(/^([a-z][a-z\d+.-]*:\/\/)?[^]*@/i, '$1…@').replace(/[?#][^]*/, '…');
}
