import { ok } from '@sallyport/api-client'
import type { Command } from 'commander'
import { contextOf } from '../context.js'
import { text, type Fields } from '../http/record.js'
import type { Column } from '../output/table.js'
import { visible } from '../output/visible.js'

const columns: readonly Column<Fields>[] = [
  { title: 'IDENTIFIER', value: (item) => text(item, 'identifier') },
  { title: 'IN THE LOG', value: (item) => text(item, 'pseudonym') },
]

/** `sallyport privacy`. */
export function registerPrivacy(program: Command): void {
  const privacy = program.command('privacy').description('people in the audit log: whom its pseudonyms stand for, and forgetting them')

  privacy.command('find')
    .argument('<identifier>', 'a name, an e-mail address, a name at a forge')
    .description('everything the log knows a person by (auditors)')
    .action(async (identifier: string, _options: object, command: Command) => {
      const { api, printer } = contextOf(command)
      printer.list((await ok(api.rest.POST('/v1/privacy/find', { body: { identifier } }))).identifiers, columns, 'Nobody.')
    })

  privacy.command('erase')
    .argument('<identifiers...>', 'all identifiers of the person that no User document linked')
    .requiredOption('--reason <text>')
    .description("delete a person's key: the log stays whole, and nobody can tell any more who it was (admins; it can't be undone)")
    .action(async (identifiers: readonly string[], { reason }: { readonly reason: string }, command: Command) => {
      const { api, printer } = contextOf(command)
      const answer = await ok(api.rest.POST('/v1/privacy/erase', { body: { identifiers: [...identifiers], reason } }))
      const left = answer.still_named_in
      printer.result(answer, () => visible(`Erased: ${text(answer, 'identifiers')} identifiers.${left.length === 0 ? '' : ` These documents still hold a name: ${left.join(', ')}`}`))
    })
}
