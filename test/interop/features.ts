import { filters } from './features/filters.js';
import { handlers } from './features/handlers.js';
import { messages } from './features/messages.js';
import { sessions } from './features/sessions.js';

/** The rows of docs/brokers.md. Each is a test on each broker. */
export const features = { ...messages, ...filters, ...sessions, ...handlers };

export type FeatureName = keyof typeof features;

/** What is stated of one broker: a cell of every row. */
export type Stated = { readonly [Name in FeatureName]: keyof (typeof features)[Name]['cells'] };
