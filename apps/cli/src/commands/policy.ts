import { ok } from '@sallyport/api-client'
import type { Command } from 'commander'
import { contextOf, printerOf } from '../context.js'
import { exitCode } from '../errors.js'
import { asFields, asList, text, type Fields } from '../http/record.js'
import { checkDocuments, type CheckReport } from '../policy-check.js'
import { visible, visibleBlock } from '../output/visible.js'
import { readDocuments } from './apply.js'
import { effectLine } from './effects.js'

export function registerPolicy(program: Command): void {
  const policy = program.command('policy').description('check policy files and explain decisions')

  policy.command('check')
    .description('read documents strictly and run the tests of their policies, without a control plane')
    .argument('<file...>', 'YAML files, or directories of them')
    .action(async (paths: string[], _options: object, command: Command) => {
      const report = await checkDocuments(paths.flatMap(readDocuments))
      if (!report.ok) process.exitCode = exitCode.error
      printerOf(command).result(report, () => checked(report))
    })

  policy.command('explain')
    .description('the effects of a command, and which rule decides each, as the control plane would decide now')
    .requiredOption('--as <name>', 'workload or user that would ask')
    .requiredOption('--target <name>')
    .argument('<command>', 'the command, like "delete from orders"')
    .action(async (statement: string, options: { as: string; target: string }, command: Command) => {
      const { api, printer } = contextOf(command)
      const answer = await ok(api.rest.POST('/v1/policy/explain', { body: { as: options.as, target: options.target, text: statement } }))
      printer.result(answer, () => explained(answer))
    })
}

/** What was wrong, and how the tests went. */
export function checked(report: CheckReport): string {
  const lines = [
    ...report.errors.map((error) => visible(error)),
    ...report.tests.filter((test) => !test.ok).map((test) =>
      visible(`failed test ${test.policy}#${test.index}: expected ${test.expected}, got ${test.actual}: ${test.run}\n    ${test.reason}`).replace('\\n', '\n')),
  ]
  const passed = report.tests.filter((test) => test.ok).length
  return [...lines, `${report.documents} documents, ${report.errors.length} errors; ${passed} of ${report.tests.length} tests passed.`].join('\n')
}

function explained(answer: Fields): string {
  const commands = asList(answer['commands'])
  const parts = (commands.length > 0 ? commands : [answer]).map((command) => {
    const decision = asFields(command['decision'])
    const verdicts = asList(command['perEffect'] ?? command['per_effect'])
    return [
      visibleBlock(text(command, 'text')).trim(),
      ...(verdicts.length > 0
        ? verdicts.map((entry) => `${effectLine(asFields(entry['effect']))}  → ${visible(`${text(entry, 'verdict')} (${text(entry, 'rule')})`)}`)
        : asList(command['effects']).map(effectLine)),
      visible(`→ ${text(decision, 'verdict')} by ${text(decision, 'rule')}: ${text(decision, 'reason')}`),
      text(decision, 'hint') === '' ? '' : visible(`  ${text(decision, 'hint')}`),
    ].filter((line) => line !== '').join('\n')
  })
  const error = text(answer, 'error')
  return [...parts, error === '' ? '' : visible(`can't be analysed: ${error}`)].filter((part) => part !== '').join('\n\n')
}
