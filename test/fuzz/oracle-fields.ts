import { propertyOf, Type, type Kind } from './specification.js';

/** A broken rule, and the reason codes that a client may answer it with. */
export interface Violation {
  readonly rule: string;
  readonly codes: readonly number[];
}

/** Takes note of a broken rule. */
export type Broken = (rule: string, ...codes: number[]) => undefined;

/** The packet cannot be read any further. */
export class Truncated extends Error {}

/** Reads fields and knows where the packet ends. */
export class Reader {
  #at = 0;
  constructor(private readonly bytes: Buffer) {}

  get left(): number {
    return this.bytes.length - this.#at;
  }

  take(count: number): Buffer {
    if (count > this.left) throw new Truncated('a field that runs past the end');
    this.#at += count;
    return this.bytes.subarray(this.#at - count, this.#at);
  }

  rest(): Buffer {
    return this.take(this.left);
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  uint16(): number {
    return this.byte() * 0x100 + this.byte();
  }

  uint32(): number {
    return this.uint16() * 0x1_0000 + this.uint16();
  }

  binary(): Buffer {
    return this.take(this.uint16());
  }

  varint(): number {
    let value = 0;
    for (let count = 0; count < 4; count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * 128 ** count;
      if (byte >= 0x80) continue;
      if (byte === 0 && count > 0) throw new Truncated('a variable byte integer that is not minimal');
      return value;
    }
    throw new Truncated('a variable byte integer of more than four bytes');
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A text that breaks a rule is read all the same, so that what follows is looked at too. */
export function readText(bytes: Buffer, broken: Broken): string {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    broken('text that is not UTF-8', 0x81);
    return bytes.toString('latin1');
  }
  if (text.includes('\0')) broken('U+0000 in a text', 0x81);
  return text;
}

export function readProperties(reader: Reader, type: number, broken: Broken): Record<string, unknown> {
  const section = new Reader(reader.take(reader.varint()));
  const found: Record<string, unknown> = {};
  while (section.left > 0) {
    const rule = propertyOf.get(section.varint());
    if (rule === undefined) throw new Truncated('an unknown property');
    if (type === Type.Disconnect && rule.id === 17) broken('Session Expiry Interval in DISCONNECT', 0x82);
    else if (!rule.in.includes(type)) broken('a property of another packet type', 0x81);
    const value = readValue(section, rule.kind, broken);
    if (rule.kind === 'flag' && (value as number) > 1) broken('a flag that is neither 0 nor 1', 0x82);
    if (rule.notZero && value === 0) broken('a property that must not be 0', 0x82);
    if (rule.kind === 'pair') addPair((found[rule.name] ??= Object.create(null)) as UserProperties, value as string[]);
    else if (rule.repeats) ((found[rule.name] ??= []) as unknown[]).push(value);
    else if (rule.name in found) broken('a property twice', 0x82);
    else found[rule.name] = rule.kind === 'flag' && rule.name !== 'maximumQos' ? value === 1 : value;
  }
  return found;
}

type UserProperties = Record<string, string | string[]>;

function addPair(into: UserProperties, [name, value]: string[]): void {
  const values = [into[name!] ?? [], value!].flat();
  into[name!] = values.length === 1 ? values[0]! : values;
}

function readValue(reader: Reader, kind: Kind, broken: Broken): unknown {
  switch (kind) {
    case 'flag':
      return reader.byte();
    case 'uint16':
      return reader.uint16();
    case 'uint32':
      return reader.uint32();
    case 'varint':
      return reader.varint();
    case 'text':
      return readText(reader.binary(), broken);
    case 'binary':
      return reader.binary();
    case 'pair':
      return [readText(reader.binary(), broken), readText(reader.binary(), broken)];
  }
}
