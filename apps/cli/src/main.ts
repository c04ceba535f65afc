#!/usr/bin/env node
import { exitCode } from './errors.js'
import { program } from './program.js'
import { report } from './report.js'

// `sallyport … | head`: the reader is gone, and that is fine.
process.stdout.on('error', () => process.exit(exitCode.ok))
try {
  await program().parseAsync()
} catch (error) {
  process.exitCode = report(error)
}
