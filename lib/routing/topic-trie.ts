interface Node<T> {
  /** Filters that continue with a literal level. */
  levels: Map<string, Node<T>> | undefined;
  /** Filters that continue with `+`. */
  plus: Node<T> | undefined;
  /** Values of filters that end here. */
  ends: T[] | undefined;
  /** Values of filters that end with `/#` here. */
  rest: T[] | undefined;
}

const dollar = 0x24;

/**
 * Finds the values of all filters that match a topic. The cost depends on the topic's levels and on the
 * number of matches, not on how many filters there are.
 *
 * @internal
 */
export class TopicTrie<T> {
  readonly #root: Node<T> = emptyNode();

  /** @param filter - a valid filter without `$share/group/` */
  add(filter: string, value: T): void {
    let node = this.#root;
    for (const level of filter.split('/')) {
      if (level === '#') {
        (node.rest ??= []).push(value);
        return;
      }
      if (level === '+') {
        node = node.plus ??= emptyNode();
      } else {
        const levels = (node.levels ??= new Map<string, Node<T>>());
        let next = levels.get(level);
        if (next === undefined) levels.set(level, (next = emptyNode()));
        node = next;
      }
    }
    (node.ends ??= []).push(value);
  }

  /**
   * Takes back one `add`, and the branches that nothing needs any more.
   *
   * @returns whether nothing is left at all
   */
  remove(filter: string, value: T): boolean {
    return removeBelow(this.#root, filter.split('/'), 0, value);
  }

  /**
   * At least every value whose filter matches a topic that this filter matches too, in no particular order: that leading
   * wildcards do not match "$..." is left out of account.
   */
  overlapping(filter: string): T[] {
    const found: T[] = [];
    collectOverlapping(this.#root, filter.split('/'), 0, found);
    return found;
  }

  /** Every value whose filter matches the topic, in no particular order. */
  match(topic: string): T[] {
    const found: T[] = [];
    const root = this.#root;
    if (topic.charCodeAt(0) === dollar) {
      // A leading wildcard does not match "$..." [MQTT-4.7.2-1].
      descend(root.levels, undefined, topic, 0, found);
    } else {
      collect(root, topic, 0, found);
    }
    return found;
  }
}

/** @param start - where the level after this node begins; past the end when there is none */
function collect<T>(node: Node<T>, topic: string, start: number, found: T[]): void {
  if (node.rest !== undefined) pushAll(node.rest, found);
  if (start > topic.length) {
    if (node.ends !== undefined) pushAll(node.ends, found);
    return;
  }
  if (node.levels !== undefined || node.plus !== undefined) descend(node.levels, node.plus, topic, start, found);
}

function descend<T>(
  levels: Map<string, Node<T>> | undefined,
  plus: Node<T> | undefined,
  topic: string,
  start: number,
  found: T[],
): void {
  const slash = topic.indexOf('/', start);
  const end = slash === -1 ? topic.length : slash;
  const literal = levels?.get(topic.slice(start, end));
  if (literal !== undefined) collect(literal, topic, end + 1, found);
  if (plus !== undefined) collect(plus, topic, end + 1, found);
}

/** @param depth - of the filter's levels, those before it fit what leads to the node */
function collectOverlapping<T>(node: Node<T>, filter: readonly string[], depth: number, found: T[]): void {
  const level = filter[depth];
  if (level === '#') return collectAll(node, found);
  if (node.rest !== undefined) pushAll(node.rest, found);
  if (level === undefined) {
    if (node.ends !== undefined) pushAll(node.ends, found);
    return;
  }
  if (node.plus !== undefined) collectOverlapping(node.plus, filter, depth + 1, found);
  if (node.levels === undefined) return;
  const next = level === '+' ? node.levels.values() : [node.levels.get(level)];
  for (const child of next) if (child !== undefined) collectOverlapping(child, filter, depth + 1, found);
}

function collectAll<T>(node: Node<T>, found: T[]): void {
  if (node.rest !== undefined) pushAll(node.rest, found);
  if (node.ends !== undefined) pushAll(node.ends, found);
  if (node.plus !== undefined) collectAll(node.plus, found);
  if (node.levels !== undefined) for (const child of node.levels.values()) collectAll(child, found);
}

/** @returns whether nothing is left at and below the node */
function removeBelow<T>(node: Node<T>, filter: readonly string[], depth: number, value: T): boolean {
  const level = filter[depth];
  if (level === undefined) node.ends = without(node.ends, value);
  else if (level === '#') node.rest = without(node.rest, value);
  else if (level === '+') {
    if (node.plus !== undefined && removeBelow(node.plus, filter, depth + 1, value)) node.plus = undefined;
  } else {
    const next = node.levels?.get(level);
    if (next !== undefined && removeBelow(next, filter, depth + 1, value)) node.levels?.delete(level);
    if (node.levels?.size === 0) node.levels = undefined;
  }
  return node.levels === undefined && node.plus === undefined && node.ends === undefined && node.rest === undefined;
}

function without<T>(values: T[] | undefined, value: T): T[] | undefined {
  const index = values?.indexOf(value) ?? -1;
  if (index >= 0) values!.splice(index, 1);
  return values?.length === 0 ? undefined : values;
}

function pushAll<T>(values: readonly T[], found: T[]): void {
  for (const value of values) found.push(value);
}

function emptyNode<T>(): Node<T> {
  return { levels: undefined, plus: undefined, ends: undefined, rest: undefined };
}
