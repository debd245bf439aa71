/** Reads what is tagged. */
import { Buffer } from 'node:buffer';
type TagReader = (read: () => unknown) => unknown;

/**
 * The tags that have a JavaScript form: dates and integers of any size. Any other tag makes a payload undecodable, for the
 * value without its tag could mean something else.
 *
 * @internal
 */
export const readCborTags: Readonly<Record<number, TagReader>> = {
  0: (read) => {
    const text = read();
    if (typeof text !== 'string') throw new TypeError('a date of tag 0 is text');
    return validDate(new Date(text));
  },
  1: (read) => {
    const seconds = read();
    if (typeof seconds !== 'number') throw new TypeError('a date of tag 1 is a number');
    return validDate(new Date(seconds * 1_000));
  },
  2: (read) => integer(read()),
  3: (read) => -1n - integer(read()),
  // "This is CBOR": says nothing about the value.
  55_799: (read) => read(),
};

function validDate(date: Date): Date {
  if (Number.isNaN(date.getTime())) throw new RangeError('no such date');
  return date;
}

/** By its hexadecimal digits: linear in their number, which the sender decides. */
function integer(bytes: unknown): bigint {
  if (!(bytes instanceof Uint8Array)) throw new TypeError('a large integer is bytes');
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  return hex === '' ? 0n : BigInt(`0x${hex}`);
}
