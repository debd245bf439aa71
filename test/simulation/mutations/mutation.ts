/** A bug planted on purpose. */
export interface Mutation {
  readonly name: string;
  readonly edits: readonly Edit[];
}

/** @param find occurs exactly once in the file */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Files with more than one. */
export const File = {
  CONNECTION: 'connection.ts',
  DRIVER: 'driver.ts',
  INCOMING: 'session/incoming.ts',
  OUTGOING: 'session/outgoing.ts',
  QUEUE: 'admission/request-queue.ts',
  REQUESTS: 'requests.ts',
  SESSION: 'session/session.ts',
  SUBSCRIPTIONS: 'session/subscriptions.ts',
} as const;

/** A bug that takes one edit. */
export function mutation(name: string, file: string, find: string, replace: string): Mutation {
  return { name, edits: [{ file: `lib/eventloop/${file}`, find, replace }] };
}
