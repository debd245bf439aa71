export { toAsyncApi, type AsyncApiDocument, type AsyncApiInfo } from './to-async-api.js';
