import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const sources = new URL('../', import.meta.url);

/** What a program cannot be compiled for lack of. */
export class MissingError extends Error {}

/**
 * Compiles the C program in the folder of this name.
 *
 * @param library - with a header of the same name
 * @returns its path
 * @throws MissingError without a compiler or the library's headers
 */
export async function compile(name: string, library?: string): Promise<string> {
  const folder = fileURLToPath(new URL(`${name}/`, sources));
  const program = fileURLToPath(new URL(`./${name}-program`, import.meta.url));
  const files = readdirSync(folder).filter((file) => file.endsWith('.c'));
  const libraries = library === undefined ? [] : [`-l${library}`];
  try {
    await run('cc', ['-O2', '-Wall', '-Wextra', '-o', program, ...files, ...libraries], { cwd: folder });
    return program;
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') throw new MissingError(`no C compiler for bench/${name} (apt install gcc libc6-dev)`);
    if (library !== undefined && stderr.includes(`${library}.h`))
      throw new MissingError(`its headers are not installed (apt install lib${library}-dev)`);
    throw error;
  }
}
