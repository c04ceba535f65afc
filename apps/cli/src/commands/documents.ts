import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { given, ok } from '@sallyport/api-client'
import { Option, type Command } from 'commander'
import { contextOf, printerOf, say, whole } from '../context.js'
import { exitCode, usageError } from '../errors.js'
import { everything, listed } from '../http/control-plane.js'
import { text, type Fields } from '../http/record.js'
import { shortTime } from '../output/printer.js'
import type { Column } from '../output/table.js'
import { checkDocuments } from '../policy-check.js'
import { applied, explained, readDocuments } from './apply.js'
import { checked } from './policy.js'

const kinds = ['IdentityProvider', 'Workload', 'User', 'Group', 'GroupMapping', 'Target', 'Policy', 'Sink', 'Retention'] as const
type Kind = (typeof kinds)[number]

const columns: readonly Column<Fields>[] = [
  { title: 'ID', value: (item) => text(item, 'id') },
  { title: 'WHEN', value: (item) => shortTime(text(item, 'created_at')) },
  { title: 'DOCUMENT', value: (item) => `${text(item, 'kind')}/${text(item, 'name')}` },
  { title: 'VERSION', value: (item) => text(item, 'version') },
  { title: 'BY', value: (item) => text(item, 'author') },
  { title: 'REASON', value: (item) => text(item, 'reason') },
]

/** Documents as code, besides `apply`. */
export function registerDocuments(program: Command): void {
  program.command('validate')
    .description('read documents strictly and run the tests of their policies, without a control plane')
    .requiredOption('-f, --file <path...>', 'YAML files, or directories of them; - reads stdin')
    .action(async ({ file }: { readonly file: readonly string[] }, command: Command) => {
      const report = await checkDocuments(file.flatMap(readDocuments))
      if (!report.ok) process.exitCode = exitCode.error
      printerOf(command).result(report, () => checked(report))
    })

  program.command('diff')
    .description('what an apply would change; exits with 1 when it would change something')
    .requiredOption('-f, --file <path...>', 'YAML files, or directories of them; - reads stdin')
    .option('--prune', 'documents that are not in these files would be deleted')
    .action(async ({ file, prune }: { readonly file: readonly string[]; readonly prune?: true }, command: Command) => {
      const { api, printer } = contextOf(command)
      const documents = file.flatMap(readDocuments)
      if (documents.length === 0) throw usageError(`no .yaml file in ${file.join(', ')}`)
      const answer = await explained(ok(api.slow.POST('/v1/apply', { body: { documents, dry_run: true, prune: prune === true } })))
      if (answer.changes.some(({ action }) => action !== 'unchanged')) process.exitCode = exitCode.error
      printer.result(answer, () => applied(answer, true))
    })

  program.command('export')
    .description('the documents in force as YAML, as they were written: apply them and nothing changes')
    .option('-d, --directory <path>', 'one file for each, KIND/NAME.yaml; without it, all to standard output')
    .addOption(new Option('--kind <kind>').choices(kinds))
    .action(async ({ directory, kind }: { readonly directory?: string; readonly kind?: Kind }, command: Command) => {
      const { api } = contextOf(command)
      const items = await listed(everything, (page) => ok(api.rest.GET('/v1/documents', { params: { query: given({ kind, ...page }) } })))
      if (directory === undefined) {
        process.stdout.write(items.map((item) => item.text.trimEnd()).join('\n---\n') + '\n')
        return
      }
      for (const item of items) {
        mkdirSync(join(directory, item.kind), { recursive: true })
        writeFileSync(join(directory, item.kind, `${item.name}.yaml`), `${item.text.trimEnd()}\n`)
      }
      say(`Wrote ${items.length} documents below ${directory}.`)
    })

  program.command('history')
    .description('who changed which document when and why, newest first')
    .argument('[document]', 'KIND or KIND/NAME')
    .option('--limit <count>', 'at most so many', whole, 50)
    .action(async (document: string | undefined, { limit }: { readonly limit: number }, command: Command) => {
      const { api, printer } = contextOf(command)
      const [asked, name] = (document ?? '').split('/', 2)
      const kind = kinds.find((one) => one === asked)
      if (document !== undefined && kind === undefined) throw usageError(`there is no kind of document called ${asked ?? ''}`, `one of ${kinds.join(', ')}`)
      const items = await listed(limit, (page) => ok(api.rest.GET('/v1/documents/history', { params: { query: given({ kind, name, ...page }) } })))
      printer.list(items, columns, 'Nothing was changed yet.')
    })

  program.command('rollback')
    .description('bring the whole set of documents back to what it was right after a change: checked and tested like an apply')
    .argument('<change>', 'id from `sallyport history`')
    .requiredOption('--reason <text>')
    .option('--dry-run', 'show and test only')
    .action(async (to: string, { reason, dryRun }: { readonly reason: string; readonly dryRun?: true }, command: Command) => {
      const { api, printer } = contextOf(command)
      const answer = await explained(ok(api.slow.POST('/v1/documents/rollback', { body: { to, reason, dry_run: dryRun === true } })))
      printer.result(answer, () => applied(answer, dryRun === true))
    })
}
