import { BlockList, isIP } from 'node:net';

/**
 * Which hosts the `NO_PROXY` convention reaches directly. Entries are separated by commas or spaces: `*` is every host;
 * `example.com`, `.example.com` and `*.example.com` are that name and all below it; an IP address or a CIDR block are
 * themselves; each may end in `:port`. This computer itself (localhost and loopback addresses) is always reached directly.
 *
 * @internal
 */
export class NoProxy {
  readonly #rules: readonly ((host: string, port: number) => boolean)[];

  constructor(entries: string) {
    this.#rules = entries
      .toLowerCase()
      .split(/[\s,]+/)
      .filter((entry) => entry !== '')
      .map(ruleOf);
  }

  covers(host: string, port: number): boolean {
    const name = host.toLowerCase().replace(/\.$/, '');
    return isLoopback(name) || this.#rules.some((matches) => matches(name, port));
  }
}

function ruleOf(entry: string): (host: string, port: number) => boolean {
  if (entry === '*') return () => true;
  const { pattern, onlyPort } = withoutPort(entry);
  const matches = hostRule(pattern);
  return (host, port) => (onlyPort === undefined || onlyPort === port) && matches(host);
}

/** The colons of an IPv6 address are no port. */
function withoutPort(entry: string): { pattern: string; onlyPort?: number } {
  if (isIP(entry) !== 0) return { pattern: entry };
  const [, bracketed, plain, port] = /^(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? [];
  const pattern = bracketed ?? plain ?? entry;
  return port === undefined ? { pattern } : { pattern, onlyPort: Number(port) };
}

function hostRule(pattern: string): (host: string) => boolean {
  const [network = '', prefixText] = pattern.split('/');
  const family = isIP(network);
  if (family !== 0) {
    const longest = family === 6 ? 128 : 32;
    const prefix = prefixText === undefined ? longest : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : Infinity;
    if (prefix > longest) return () => false;
    const block = new BlockList();
    block.addSubnet(network, prefix, `ipv${family as 4 | 6}`);
    return (host) => isIP(host) !== 0 && block.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
  }
  const name = pattern.replace(/^\*?\./, '').replace(/\.$/, '');
  return (host) => host === name || host.endsWith(`.${name}`);
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

function isLoopback(host: string): boolean {
  if (isIP(host) !== 0) return loopback.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
  return host === 'localhost' || host.endsWith('.localhost');
}
