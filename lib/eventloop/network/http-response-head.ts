/** More than any proxy says before its tunnel begins. @internal */
import { Buffer } from 'node:buffer';
export const MOST_HEAD_BYTES = 16_384;

const PROTOCOL = 'HTTP/1.';
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Status line and headers of an HTTP answer; a header that came more than once is joined by commas. @internal */
export interface HttpResponseHead {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** What followed the blank line in the same chunk: the first bytes of the tunnel. */
  readonly surplus: Buffer;
}

/**
 * Reads the head of one HTTP/1 answer, however its bytes were chunked; what a chunk costs does not depend on the chunks before it.
 * Answers of 1xx announce another one and are skipped.
 *
 * @internal
 */
export class HttpResponseHeadReader {
  #head: Buffer[] = [];
  #headBytes = 0;
  #lineBytes = 0;
  #isHttp = false;

  /**
   * @returns the head once its blank line has come
   * @throws Error that says in words for the user what is wrong with the answer; it repeats none of its bytes
   */
  push(chunk: Buffer): HttpResponseHead | undefined {
    for (let rest = chunk; rest.length > 0;) {
      const end = this.#endOfHead(rest);
      this.#keep(rest.subarray(0, end ?? rest.length));
      if (end === undefined) return undefined;
      rest = rest.subarray(end);
      const head = parseHead(Buffer.concat(this.#head).toString('latin1'));
      if (head.status >= 200) return { ...head, surplus: rest };
      this.#head = [];
      this.#isHttp = false;
    }
    return undefined;
  }

  /** Where the byte after the blank line stands. */
  #endOfHead(chunk: Buffer): number | undefined {
    for (const [index, byte] of chunk.entries()) {
      if (byte === LINE_FEED) {
        if (this.#lineBytes === 0) return index + 1;
        this.#lineBytes = 0;
      } else if (byte !== CARRIAGE_RETURN) this.#lineBytes++;
    }
    return undefined;
  }

  #keep(bytes: Buffer): void {
    this.#head.push(bytes);
    // At once: what is not HTTP may never send a line, and the deadline would be all that ends it.
    if (!this.#isHttp) {
      const start = Buffer.concat(this.#head).toString('latin1', 0, PROTOCOL.length);
      if (!PROTOCOL.startsWith(start)) throw new Error('bytes that are not HTTP/1');
      this.#isHttp = start.length === PROTOCOL.length;
    }
    // Counted over all answers: a proxy that announces for ever must end, too.
    this.#headBytes += bytes.length;
    if (this.#headBytes > MOST_HEAD_BYTES) throw new Error(`more than ${MOST_HEAD_BYTES} bytes of headers`);
  }
}

function parseHead(text: string): { status: number; headers: Map<string, string> } {
  const [statusLine, ...lines] = text.trimEnd().split(/\r?\n/);
  const status = /^HTTP\/1\.\d ([1-9]\d\d)(?: |$)/.exec(statusLine!)?.[1];
  if (status === undefined) throw new Error('a malformed status line');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) throw new Error('a malformed header');
    const earlier = headers.get(name.toLowerCase());
    headers.set(name.toLowerCase(), earlier === undefined ? value! : `${earlier}, ${value!}`);
  }
  return { status: Number(status), headers };
}
