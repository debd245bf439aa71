/** Bytes after the type byte that give a length, and bytes that every element has beside it. */
const sizes: Readonly<
  Record<number, { readonly length: 1 | 2 | 4; readonly extra: number; readonly items: 0 | 1 | 2 }>
> = {
  0xc4: { length: 1, extra: 0, items: 0 },
  0xc5: { length: 2, extra: 0, items: 0 },
  0xc6: { length: 4, extra: 0, items: 0 },
  0xc7: { length: 1, extra: 1, items: 0 },
  0xc8: { length: 2, extra: 1, items: 0 },
  0xc9: { length: 4, extra: 1, items: 0 },
  0xd9: { length: 1, extra: 0, items: 0 },
  0xda: { length: 2, extra: 0, items: 0 },
  0xdb: { length: 4, extra: 0, items: 0 },
  0xdc: { length: 2, extra: 0, items: 1 },
  0xdd: { length: 4, extra: 0, items: 1 },
  0xde: { length: 2, extra: 0, items: 2 },
  0xdf: { length: 4, extra: 0, items: 2 },
};

/** Bytes after the type byte of 0xc0 to 0xdf that have no length of their own. */
// prettier-ignore
const fixed: Readonly<Record<number, number>> = {
  0xca: 4, 0xcb: 8, 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8,
  0xd4: 2, 0xd5: 3, 0xd6: 5, 0xd7: 9, 0xd8: 17,
};

/**
 * Decoders make room for as many elements as an array announces. Nested arrays of few bytes can announce gigabytes, so
 * announcements are added up first: all of them together cannot be more than the bytes that follow.
 *
 * @throws RangeError
 * @internal
 */
export function assertMsgpackBounds(payload: Buffer): void {
  let outstanding = 1;
  let position = 0;
  while (outstanding > 0) {
    if (outstanding > payload.length - position) throw new RangeError('it announces more than it holds');
    const type = payload[position++]!;
    outstanding--;
    if (type >= 0x80 && type <= 0x8f) outstanding += 2 * (type & 0x0f);
    else if (type >= 0x90 && type <= 0x9f) outstanding += type & 0x0f;
    else if (type >= 0xa0 && type <= 0xbf) position += type & 0x1f;
    else if (type >= 0xc0 && type <= 0xdf) {
      const size = sizes[type];
      if (size === undefined) position += fixed[type] ?? 0;
      else {
        if (position + size.length > payload.length) throw new RangeError('it ends in the middle of a length');
        const length = payload.readUIntBE(position, size.length);
        position += size.length + size.extra;
        if (size.items === 0) position += length;
        else outstanding += size.items * length;
      }
    }
  }
}
