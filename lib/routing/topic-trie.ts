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

function pushAll<T>(values: readonly T[], found: T[]): void {
  for (const value of values) found.push(value);
}

function emptyNode<T>(): Node<T> {
  return { levels: undefined, plus: undefined, ends: undefined, rest: undefined };
}
