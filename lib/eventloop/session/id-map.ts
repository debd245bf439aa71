const PAGE_IDS = 256;
const PAGES = 256;

interface Page<T> {
  readonly values: (T | undefined)[];
  count: number;
}

/**
 * Values by packet identifier. A `Map` whose entries come and go all the time keeps V8's garbage collector from freeing what has
 * gone, which cost two to five times as much as the rest of a publish. Identifiers in use lie close together, so pages of an array do.
 *
 * @internal
 */
export class IdMap<T> {
  #pages: (Page<T> | undefined)[] = [];
  /** An empty page at hand: identifiers move from one page to the next. */
  #spare: Page<T> | undefined;

  get(id: number): T | undefined {
    return this.#pages[id >> 8]?.values[id & 0xff];
  }

  set(id: number, value: T): void {
    if (this.#pages.length === 0) this.#pages = new Array<Page<T> | undefined>(PAGES).fill(undefined);
    const page = (this.#pages[id >> 8] ??= this.#newPage());
    if (page.values[id & 0xff] === undefined) page.count++;
    page.values[id & 0xff] = value;
  }

  delete(id: number): void {
    const page = this.#pages[id >> 8];
    if (page?.values[id & 0xff] === undefined) return;
    page.values[id & 0xff] = undefined;
    page.count--;
    if (page.count > 0) return;
    this.#pages[id >> 8] = undefined;
    this.#spare = page;
  }

  clear(): void {
    this.#pages = [];
  }

  #newPage(): Page<T> {
    const page = this.#spare ?? { values: new Array<T | undefined>(PAGE_IDS).fill(undefined), count: 0 };
    this.#spare = undefined;
    return page;
  }
}
