/** A filter's levels, without `$share/group/`. */
type Levels = readonly string[];

/**
 * Whether some topic matches both filters.
 *
 * @internal
 */
export function filtersOverlap(a: Levels, b: Levels): boolean {
  return compare(a, b, overlaps);
}

/**
 * Whether every topic that matches `inner` matches `outer` too.
 *
 * @internal
 */
export function filterCovers(outer: Levels, inner: Levels): boolean {
  // Only "#" covers "#", and only from the same level or above.
  if (inner.at(-1) === '#' && (outer.at(-1) !== '#' || outer.length > inner.length)) return false;
  return compare(outer, inner, covers);
}

function overlaps(left: string, right: string): boolean {
  return left === right || left === '+' || right === '+';
}

function covers(outer: string, inner: string): boolean {
  return outer === inner || outer === '+';
}

function compare(a: Levels, b: Levels, meets: (a: string, b: string) => boolean): boolean {
  if (isWildcard(a[0]) && b[0]?.startsWith('$')) return false;
  if (isWildcard(b[0]) && a[0]?.startsWith('$')) return false;
  for (let i = 0; ; i++) {
    const left = a[i];
    const right = b[i];
    // Before the end of either: "a/#" also matches its parent "a".
    if (left === '#' || right === '#') return true;
    if (left === undefined || right === undefined) return left === right;
    if (!meets(left, right)) return false;
  }
}

function isWildcard(level: string | undefined): boolean {
  return level === '+' || level === '#';
}
