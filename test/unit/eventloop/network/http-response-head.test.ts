import { describe, expect, test } from 'vitest';
import {
  HttpResponseHeadReader,
  MOST_HEAD_BYTES,
  type HttpResponseHead,
} from '../../../../lib/eventloop/network/http-response-head.js';

/** The head, and everything after it. */
function read(text: string, chunkBytes: number): { head: HttpResponseHead | undefined; after: string } {
  const bytes = Buffer.from(text, 'latin1');
  const reader = new HttpResponseHeadReader();
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const head = reader.push(bytes.subarray(at, at + chunkBytes));
    if (head === undefined) continue;
    return { head, after: head.surplus.toString('latin1') + bytes.subarray(at + chunkBytes).toString('latin1') };
  }
  return { head: undefined, after: '' };
}

describe.each([1, 2, 3, 7, 1_000_000])('the head of a proxy answer in chunks of %s bytes', (chunkBytes) => {
  test.each([
    ['a bare status', 'HTTP/1.1 200\r\n\r\n', 200],
    ['a status with a reason', 'HTTP/1.1 200 Connection established\r\n\r\n', 200],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\n', 200],
    ['many headers', `HTTP/1.1 204 No\r\n${'Via: one\r\n'.repeat(50)}\r\n`, 204],
    ['lines that end in a line feed alone', 'HTTP/1.1 200 OK\nVia: one\n\n', 200],
    ['an empty reason', 'HTTP/1.1 403 \r\n\r\n', 403],
    [
      'answers of 1xx before the real one',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
      200,
    ],
  ])('%s', (_name, text, status) => {
    for (const tail of ['', '\r\n', 'first bytes of the tunnel', '\x20\x02\x00\x00']) {
      const { head, after } = read(text + tail, chunkBytes);
      expect(head?.status).toBe(status);
      expect(after).toBe(tail);
    }
  });

  test('headers have names in lower case and no space around them', () => {
    const text =
      'HTTP/1.1 407 X\r\nProxy-Authenticate:  Basic realm="a: b"  \r\nPROXY-AUTHENTICATE: Digest\r\nEmpty:\r\n\r\n';
    expect(read(text, chunkBytes).head?.headers).toEqual(
      new Map([
        ['proxy-authenticate', 'Basic realm="a: b", Digest'],
        ['empty', ''],
      ]),
    );
  });

  test.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2', 'not HTTP/1'],
    ['a line break first', '\r\nHTTP/1.1 200 OK\r\n\r\n', 'not HTTP/1'],
    ['a TLS alert', '\x15\x03\x01\x00\x02\x02\x46', 'not HTTP/1'],
    ['HTTP/2', 'HTTP/2 200\r\n\r\n', 'not HTTP/1'],
    ['no status', 'HTTP/1.1 OK\r\n\r\n', 'status line'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', 'status line'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n', 'status line'],
    ['a header without a colon', 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n', 'malformed header'],
    ['a header with a space in its name', 'HTTP/1.1 200 OK\r\nA B: c\r\n\r\n', 'malformed header'],
    ['a continued header', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n', 'malformed header'],
  ])('%s is an error', (_name, text, problem) => {
    expect(() => read(text, chunkBytes)).toThrow(problem);
  });

  test('as many bytes as may be are taken, and not one more', () => {
    const head = (bytes: number): string => `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(bytes - 24)}\r\n\r\n`;
    expect(head(MOST_HEAD_BYTES)).toHaveLength(MOST_HEAD_BYTES);
    expect(read(head(MOST_HEAD_BYTES), chunkBytes).head?.status).toBe(200);
    expect(() => read(head(MOST_HEAD_BYTES + 1), chunkBytes)).toThrow('more than 16384 bytes');
    expect(() => read('HTTP/1.1 100 Continue\r\n\r\n'.repeat(1_000), chunkBytes)).toThrow('more than 16384 bytes');
  });
});

test('what is no HTTP is known by its first wrong byte', () => {
  const reader = new HttpResponseHeadReader();
  expect(reader.push(Buffer.from('HT'))).toBeUndefined();
  expect(() => reader.push(Buffer.from('M'))).toThrow('not HTTP/1');
});
