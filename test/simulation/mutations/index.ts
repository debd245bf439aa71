import { connectionMutations } from './connection.js';
import type { Mutation } from './mutation.js';
import { outgoingMutations } from './outgoing.js';

/** Each must be found by `npm run simulate:mutations`. */
export const mutations: readonly Mutation[] = [...outgoingMutations, ...connectionMutations];
