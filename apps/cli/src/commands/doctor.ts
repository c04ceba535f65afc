import type { Command } from 'commander'
import type { GlobalOptions } from '../config.js'
import { printerOf } from '../context.js'
import type { Check } from '../doctor/check.js'
import { examine } from '../doctor/examine.js'
import { exitCode } from '../errors.js'
import { visible } from '../output/visible.js'

export function registerDoctor(program: Command): void {
  program.command('doctor')
    .description('look at every hop between this machine and a target, and say what to mend; exit code 1 when something fails')
    .argument('[target]', 'of this one only')
    .action(async (target: string | undefined, _options: object, command: Command) => {
      const printer = printerOf(command)
      const found: Check[] = []
      for await (const check of examine(command.optsWithGlobals<GlobalOptions>(), process.env, target)) {
        found.push(check)
        if (printer.format === 'table') printer.text(lineOf(check))
      }
      const failed = found.filter(({ status }) => status === 'fail').length
      const ok = failed === 0
      if (!ok) process.exitCode = exitCode.error
      printer.result({ ok, checks: found }, () => (ok ? 'Nothing fails.' : `${failed} of ${found.length} checks fail.`))
    })
}

const marks = { ok: 'ok   ', warn: 'WARN ', fail: 'FAIL ', skipped: '-    ' } as const

function lineOf({ name, status, detail, fix }: Check): string {
  const line = visible(`${marks[status]} ${name}: ${detail}`)
  return fix === undefined ? line : `${line}\n      mend: ${visible(fix)}`
}
