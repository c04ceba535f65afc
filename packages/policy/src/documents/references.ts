import { suggestFor } from './fields.js'
import type { Document } from './kinds.js'
import type { DocumentError } from './parse.js'

/**
 * Checks what documents say about each other, over the whole set as it would stand after an apply: the same name twice,
 * a workload of an unknown provider, a subject or approver group that nobody defines.
 */
export function checkReferences(documents: readonly Document[]): DocumentError[] {
  const errors: DocumentError[] = []
  const names = new Map<string, Set<string>>()
  const report = (document: Document, message: string, suggestion?: string): void => {
    errors.push({
      path: document.path,
      line: document.line,
      column: 1,
      message: `${document.kind} "${document.name}": ${message}`,
      ...(suggestion === undefined ? {} : { suggestion }),
    })
  }
  for (const document of documents) {
    const known = names.get(document.kind) ?? new Set<string>()
    if (known.has(document.name)) report(document, 'is defined more than once')
    names.set(document.kind, known.add(document.name))
  }
  // A workload and a user of one name would be one name in events and tests.
  for (const document of documents)
    if (document.kind === 'User' && names.get('Workload')?.has(document.name)) report(document, 'a Workload has the same name')

  const groups = definedGroups(documents)
  const need = (document: Document, what: string, name: string, known: ReadonlySet<string> | undefined): void => {
    if (!known?.has(name)) report(document, `there is no ${what} "${name}"`, suggestFor(name, known ?? []))
  }
  for (const document of documents) {
    if (document.kind === 'Workload') need(document, 'IdentityProvider', document.spec.provider, names.get('IdentityProvider'))
    if (document.kind === 'GroupMapping') need(document, 'IdentityProvider', document.spec.provider, names.get('IdentityProvider'))
    if (document.kind === 'User') for (const { provider } of document.spec.signIn) need(document, 'IdentityProvider', provider, names.get('IdentityProvider'))
    if (document.kind === 'Group') for (const member of document.spec.members) need(document, 'User', member, names.get('User'))
    if (document.kind === 'Policy') {
      for (const subject of document.spec.subjects) {
        if (subject.kind === 'group') need(document, 'group', subject.name, groups)
        else
          need(
            document,
            subject.kind === 'user' ? 'User' : 'Workload',
            subject.name,
            names.get(subject.kind === 'user' ? 'User' : 'Workload'),
          )
      }
      for (const rule of document.spec.rules) for (const group of [...(rule.approvers?.groups ?? []), ...(rule.approvers?.escalate?.groups ?? [])]) need(document, 'group', group, groups)
      for (const test of document.spec.tests) {
        if (!names.get('Workload')?.has(test.as))
          need(document, 'workload or user', test.as, new Set([...(names.get('Workload') ?? []), ...(names.get('User') ?? [])]))
        if (test.target !== undefined) need(document, 'Target', test.target, names.get('Target'))
      }
    }
  }
  return errors
}

/** A group exists when a Group document names it, or when a user or workload says it belongs to it. */
function definedGroups(documents: readonly Document[]): Set<string> {
  const groups = new Set<string>()
  for (const document of documents) {
    if (document.kind === 'Group') groups.add(document.name)
    if (document.kind === 'User' || document.kind === 'Workload' || document.kind === 'GroupMapping') for (const group of document.spec.groups) groups.add(group)
  }
  return groups
}

/** The groups of a user: its own, and those that list it as a member. Sorted, without doubles. */
export function groupsOfUser(name: string, documents: readonly Document[]): string[] {
  const groups = new Set<string>()
  for (const document of documents) {
    if (document.kind === 'User' && document.name === name) for (const group of document.spec.groups) groups.add(group)
    if (document.kind === 'Group' && document.spec.members.includes(name)) groups.add(document.name)
  }
  return [...groups].sort()
}
