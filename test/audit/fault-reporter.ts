import path from 'node:path'
import type { Reporter, TestModule } from 'vitest/node'
import { faults, ownTests } from './faults.ts'

const root = path.resolve(import.meta.dirname, '../..')

/**
 * Whether every row of faults.ts has a test that ran, and passed or said why it was skipped: in the files that were run, and in a
 * run of everything in all files.
 */
export default class FaultReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    // A run of some tests by name says nothing about the others.
    if (process.argv.some((argument) => argument === '-t' || argument.startsWith('--testNamePattern'))) return
    const files = new Map(modules.map((module) => [path.relative(root, module.moduleId), module]))
    const whole = !process.argv.slice(2).some((argument) => argument.includes('/') || argument.includes('test'))
    for (const { id, test = [ownTests, `${id} `] } of faults) {
      const [file, name] = test
      const module = files.get(file)
      if (module === undefined) {
        if (whole) fail(`row ${id}: ${file} did not run`)
        continue
      }
      // One of test.each stands in the source with its %s.
      const [beginning = name] = name.split('%s')
      const states = [...module.children.allTests()].filter((one) => one.name.startsWith(beginning)).map((one) => one.result().state)
      if (states.length === 0) fail(`row ${id}: ${file} has no test "${name}"`)
      else if (states.includes('pending')) fail(`row ${id}: its test did not run`)
      else if (states.includes('skipped')) process.stderr.write(`faults.ts: row ${id} was skipped on this machine\n`)
    }
  }
}

function fail(problem: string): void {
  process.stderr.write(`faults.ts: ${problem}\n`)
  process.exitCode = 1
}
