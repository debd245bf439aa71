/** Links of an element that is in at most one list at a time. @internal */
export interface ListNode<T> {
  previous: T | undefined;
  next: T | undefined;
}

/** A doubly linked list through its elements: constant time everywhere, nothing allocated. @internal */
export class LinkedList<T extends ListNode<T>> {
  #head: T | undefined;
  #tail: T | undefined;
  #size = 0;

  get head(): T | undefined {
    return this.#head;
  }

  get size(): number {
    return this.#size;
  }

  push(node: T): void {
    node.previous = this.#tail;
    if (this.#tail === undefined) this.#head = node;
    else this.#tail.next = node;
    this.#tail = node;
    this.#size++;
  }

  unshift(node: T): void {
    node.next = this.#head;
    if (this.#head === undefined) this.#tail = node;
    else this.#head.previous = node;
    this.#head = node;
    this.#size++;
  }

  /** The node must be in this list. */
  remove(node: T): void {
    if (node.previous === undefined) this.#head = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#tail = node.previous;
    else node.next.previous = node.previous;
    node.previous = node.next = undefined;
    this.#size--;
  }

  shift(): T | undefined {
    const node = this.#head;
    if (node !== undefined) this.remove(node);
    return node;
  }

  /** Tolerates that the yielded node is removed. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let node = this.#head; node !== undefined;) {
      const next: T | undefined = node.next;
      yield node;
      node = next;
    }
  }
}
