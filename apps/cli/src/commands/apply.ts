import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { DocumentFile } from '@sallyport/kit'
import { ApiProblem, given, ok } from '@sallyport/api-client'
import type { Command } from 'commander'
import { contextOf, say } from '../context.js'
import { CliError, exitCode, usageError } from '../errors.js'
import { asList, text, type Fields } from '../http/record.js'
import { visible, visibleBlock } from '../output/visible.js'

interface ApplyOptions {
  readonly file: readonly string[]
  readonly dryRun?: true
  readonly prune?: true
  readonly reason?: string
}

export function registerApply(program: Command): void {
  program.command('apply')
    .description('apply documents (targets, workloads, policies …): shows the difference, runs the tests, applies all or nothing')
    .requiredOption('-f, --file <path...>', 'YAML files, or directories of them; - reads stdin')
    .option('--dry-run', 'show and test only')
    .option('--prune', 'delete documents that are not in these files')
    .option('--reason <text>', 'why, for the record')
    .action(async (options: ApplyOptions, command: Command) => {
      const { api, printer } = contextOf(command)
      const documents = options.file.flatMap(readDocuments)
      if (documents.length === 0) throw usageError(`no .yaml file in ${options.file.join(', ')}`)
      const body = { documents, dry_run: options.dryRun === true, prune: options.prune === true, ...given({ reason: options.reason }) }
      const answer = await explained(ok(api.slow.POST('/v1/apply', { body })))
      if (failedTests(answer).length > 0) process.exitCode = exitCode.error
      printer.result(answer, () => applied(answer, options.dryRun === true))
    })
}

/** A refusal lists what is wrong where, and which tests failed. */
export async function explained<Answer>(asked: Promise<Answer>): Promise<Answer> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof ApiProblem) for (const line of [...documentErrors(error.body), ...failedTests(error.body)]) say(line)
    throw error
  }
}

/** A file, every .yaml/.yml file below a directory (sorted), or stdin. */
export function readDocuments(path: string): DocumentFile[] {
  if (path === '-') return [{ path: 'stdin', text: readFileSync(0, 'utf8') }]
  try {
    if (!statSync(path).isDirectory()) return [{ path, text: readFileSync(path, 'utf8') }]
    return readdirSync(path, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.ya?ml$/.test(name))
      .sort()
      .map((name) => ({ path: relative('.', join(path, name)), text: readFileSync(join(path, name), 'utf8') }))
  } catch (error) {
    throw new CliError(`can't read ${path}`, { why: error instanceof Error ? error.message : String(error) })
  }
}

/** What an apply changed, or would. */
export function applied(answer: Fields, dryRun: boolean): string {
  const changes = asList(answer['changes'])
  const changed = changes.filter((change) => text(change, 'action') !== 'unchanged')
  const parts = changed.map((change) => {
    const head = visible(`${text(change, 'action')} ${text(change, 'kind')}/${text(change, 'name')}`)
    const diff = text(change, 'diff')
    return diff === '' ? head : `${head}\n${visibleBlock(diff).trimEnd().split('\n').map((line) => `    ${line}`).join('\n')}`
  })
  const tests = asList(answer['tests'])
  const failed = failedTests(answer)
  parts.push(...failed)
  const summary = `${changed.length} to change, ${changes.length - changed.length} unchanged; ${tests.length - failed.length} of ${tests.length} tests passed.`
  const verdict = answer['applied'] === true ? 'Applied.' : dryRun ? 'Nothing was applied (dry run).' : changed.length === 0 ? 'Nothing to apply.' : 'NOT applied.'
  return [...parts, `${summary} ${verdict}`].join('\n')
}

function failedTests(body: Fields): string[] {
  return asList(body['tests'])
    .filter((test) => test['ok'] === false)
    .map((test) => visible(`failed test ${text(test, 'policy')}#${text(test, 'index')}: expected ${text(test, 'expected')}, got ${text(test, 'actual')}: ${text(test, 'run')} ${text(test, 'reason')}`.trimEnd()))
}

function documentErrors(body: Fields): string[] {
  return asList(body['errors']).map((error) => {
    const suggestion = text(error, 'suggestion')
    return visible(`${text(error, 'path')}:${text(error, 'line')}:${text(error, 'column')}: ${text(error, 'message')}${suggestion === '' ? '' : ` (did you mean "${suggestion}"?)`}`)
  })
}
