// Reads what Vitest reported, says what is wrong on stderr, and prints the result on stdout: "N passed, N failed".
// A test that was skipped or left to do proves nothing, so it fails the run as a failed one does.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const report = JSON.parse(readFileSync(process.argv[2] ?? '.vitest/report.json', 'utf8'));
const tests = report.testResults.flatMap((file) =>
  // A file that could not be loaded has no tests.
  file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed')
    ? [...file.assertionResults, { status: 'failed', fullName: `(the file itself) ${file.message}`, file: file.name }]
    : file.assertionResults.map((test) => ({ ...test, file: file.name })),
);
const count = (status) => tests.filter((test) => test.status === status).length;

for (const { status, fullName, file } of tests) {
  if (status !== 'passed') console.error(`${status}: ${relative('.', file)} > ${fullName}`);
}
if (tests.length === 0) console.error('no test ran');
if (!report.success) console.error('Vitest reports a failure');

console.log(`${count('passed')} passed, ${count('failed')} failed`);
process.exitCode = report.success && tests.length > 0 && tests.length === count('passed') ? 0 : 1;
