import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkDocs } from './check-docs.mjs'
import { lint } from './lint.mjs'
import { root, tool } from './tools.mjs'

/**
 * `npm test`: lint, docs, then every test; the build came before. Everything runs even when something failed, and the
 * last line says `N passed, N failed`. With arguments (a path, `--project unit`, `-t name`) only vitest runs, with those.
 */
const filters = process.argv.slice(2)
const directory = mkdtempSync(join(tmpdir(), 'sallyport-report-'))
let passed = 0
let failed = 0

if (filters.length === 0) {
  for (const { name, check } of [{ name: 'lint', check: lint }, { name: 'docs', check: checkDocs }]) {
    const good = check([])
    process.stdout.write(`${good ? 'ok' : 'FAILED'}  ${name}\n`)
    if (good) passed += 1
    else failed += 1
  }
}

try {
  const report = join(directory, 'vitest.json')
  const run = spawnSync(process.execPath, [tool('vitest'), 'run', '--reporter=default', '--reporter=json', '--reporter=./test/audit/fault-reporter.ts', `--outputFile.json=${report}`, ...filters], {
    cwd: root,
    stdio: 'inherit',
  })
  const result = read(report)
  passed += result.numPassedTests
  // A file that can't be loaded has no tests to count, and an unhandled error belongs to none.
  failed += Math.max(result.numFailedTests, result.testResults.filter((file) => file.status === 'failed').length, run.status === 0 ? 0 : 1)
  const skipped = result.numPendingTests + result.numTodoTests
  if (skipped > 0) process.stdout.write(`${skipped} skipped\n`)
} finally {
  rmSync(directory, { recursive: true, force: true })
}
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return { numPassedTests: 0, numFailedTests: 1, numPendingTests: 0, numTodoTests: 0, testResults: [] }
  }
}
