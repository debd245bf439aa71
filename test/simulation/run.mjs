// npm run simulate -- --seeds N --from S | --seed S [--trace]
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compile } from './compile.mjs';

const target = compile();
const { main } = await import(pathToFileURL(join(target, 'test/simulation/cli.js')));
await main();
