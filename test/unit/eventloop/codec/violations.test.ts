import { describe, expect, test } from 'vitest';
import { chunked, decode, hex } from './decode-harness.js';
import { FORBIDDEN, FORBIDDEN_BEFORE_CONNACK, type ForbiddenPacket } from './violations.js';

describe('after CONNACK', () => {
  test.each(rows(FORBIDDEN))('%s (version %i) is refused with %s', (_what, version, reason, bytes) => {
    expectRefusal(version, bytes, reason, false);
  });
});

describe('in place of CONNACK', () => {
  test.each(rows(FORBIDDEN_BEFORE_CONNACK))('%s (version %i) is refused with %s', (_what, version, reason, bytes) => {
    expectRefusal(version, bytes, reason, true);
  });
});

function rows(packets: readonly ForbiddenPacket[]): (readonly [string, 4 | 5, string, string])[] {
  return packets.flatMap(([what, versions, bytes, reasonCode]) =>
    versions.map((version) => [what, version, `0x${reasonCode.toString(16)}`, bytes] as const),
  );
}

/** Alone, with packets behind it, and byte by byte: the same refusal, and nothing is read after it. */
function expectRefusal(version: 4 | 5, text: string, reason: string, connecting: boolean): void {
  const bytes = hex(text);
  const violation = Number(reason);
  for (const chunks of [[bytes], [Buffer.concat([bytes, hex('d000 d000')])], chunked(bytes, 1)]) {
    expect(decode(version, chunks, { connecting })).toEqual([
      { violation, message: expect.stringContaining('the server broke the protocol') },
    ]);
  }
}
