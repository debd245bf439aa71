/** One SRV record of a domain, as `node:dns` gives it. @publicApi */
export interface SrvRecord {
  /** Host name. */
  readonly name: string;
  readonly port: number;
  /** Lower ones are tried first. */
  readonly priority: number;
  /** Among those of one priority: how often this one is the first, in proportion. */
  readonly weight: number;
}

/** DNS is not ours to trust: what it says is bounded. */
const MOST_TARGETS = 32;

/**
 * The records in the order in which they are to be tried (RFC 2782): by priority; within one, drawn by weight.
 *
 * @param random uniform in [0, 1)
 * @internal
 */
export function inOrderOfTrial(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  const ordered: SrvRecord[] = [];
  // Those without weight come first, so that the lowest draw can find them.
  const left = records
    .filter(isUsable)
    .toSorted((one, other) => one.priority - other.priority || one.weight - other.weight);
  while (left.length > 0 && ordered.length < MOST_TARGETS) {
    const { priority } = left[0]!;
    const end = left.findIndex((record) => record.priority !== priority);
    const candidates = end === -1 ? left : left.slice(0, end);
    ordered.push(left.splice(draw(candidates, random), 1)[0]!);
  }
  return ordered;
}

function draw(records: readonly SrvRecord[], random: () => number): number {
  const total = records.reduce((sum, { weight }) => sum + weight, 0);
  let rest = Math.floor(random() * (total + 1));
  return records.findIndex(({ weight }) => (rest -= weight) <= 0);
}

/** A target of "." says that the domain has no such service. */
function isUsable({ name, port, priority, weight }: SrvRecord): boolean {
  const numbers = [port, priority, weight];
  return /^[\w-]+(\.[\w-]+)*\.?$/.test(name) && name.length <= 254 && port > 0 && numbers.every(isUint16);
}

function isUint16(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffff;
}
