import { Injectable } from '@nestjs/common'
import { keyOf, parseDocumentFiles, runPolicyTests, type PolicyTestResult } from '@sallyport/kit'
import { formatDocumentError, isDocumentKind, type Document, type DocumentError, type DocumentKind } from '@sallyport/policy'
import type { Transaction } from '../audit/audit.repository.js'
import { EventsService } from '../audit/events.service.js'
import type { DocumentApplied } from '../audit/events.js'
import type { Role } from '../access/principal.js'
import { forbidden, Problem } from '../problem/problem.js'
import { protocols } from '../protocols.js'
import { unifiedDiff } from './diff.js'
import { checkSet, documentContext, mergeSets, warnings } from './document-set.js'
import type { ApplyReply, ApplyRequest, DocumentChange } from './documents.dto.js'
import { DocumentsRepository } from './documents.repository.js'
import { DocumentsService, readRow, versionOf } from './documents.service.js'

const maxTotalCharacters = 8 * 1024 * 1024

/** Applies a set of documents: all of it or nothing. */
@Injectable()
export class ApplyService {
  constructor(
    private readonly repository: DocumentsRepository,
    private readonly documents: DocumentsService,
    private readonly events: EventsService,
  ) {}

  /**
   * Checks the set that would result, runs the tests of every policy in it, and writes it in one transaction together with
   * its audit event.
   * @param roles of the author: which kinds may be changed
   * @throws {Problem} 403 FORBIDDEN for a kind that isn't the author's to change, 422 with places for what is wrong in the documents, 422 POLICY_TESTS_FAILED with the tests' results
   */
  async apply(request: ApplyRequest, author: string, roles: readonly Role[]): Promise<ApplyReply> {
    if (request.documents.reduce((sum, file) => sum + file.text.length, 0) > maxTotalCharacters) {
      throw new Problem(413, 'TOO_LARGE', 'The documents are too large together.')
    }
    const parsed = parseDocumentFiles(request.documents, documentContext)
    if (parsed.errors.length > 0) throw invalid(parsed.errors)
    const reply = await this.repository.transaction((tx) => this.#apply(tx, parsed.documents, request, author, roles))
    if (reply.applied) await this.documents.reload()
    return reply
  }

  /** Makes sure that an enabled admin exists. For the very first start. Returns false when the user existed. */
  async ensureAdmin(name: string): Promise<boolean> {
    if (await this.documents.get('User', name)) return false
    const text = `apiVersion: sallyport.dev/v1\nkind: User\nmetadata: { name: ${JSON.stringify(name)} }\nspec: { roles: [admin] }\n`
    await this.apply({ documents: [{ path: '(bootstrap)', text }], reason: 'first start' }, 'sallyport', ['admin'])
    return true
  }

  async #apply(tx: Transaction, applied: readonly Document[], request: ApplyRequest, author: string, roles: readonly Role[]): Promise<ApplyReply> {
    await this.repository.lock(tx)
    const rows = await this.repository.all(tx)
    const current = rows.map(readRow)
    const next = mergeSets(current, applied, request.prune ?? false)
    const errors = checkSet(current, next)
    if (errors.length > 0) throw invalid(errors)
    const tests = runPolicyTests({ documents: next, descriptors: protocols, assumeMissing: false })
    if (tests.some((test) => !test.ok)) throw testsFailed(tests)

    const changes = compareSets(current, next)
    const pending = changes.filter((change) => change.action !== 'unchanged')
    mayChange(pending, roles)
    const result = { changes, tests, warnings: warnings(next) }
    if (request.dry_run === true || pending.length === 0) return { ...result, applied: false, version: versionOf(rows) }

    const version = await this.#write(tx, pending, next, request.reason, author)
    return { ...result, applied: true, version }
  }

  async #write(tx: Transaction, pending: readonly DocumentChange[], next: readonly Document[], reason: string | undefined, author: string): Promise<string> {
    const at = new Date()
    const byKey = new Map(next.map((document) => [keyOf(document), document]))
    const written: DocumentApplied['changes'][number][] = []
    for (const { kind, name, action } of pending) {
      if (action === 'unchanged') continue
      const document = byKey.get(`${kind}/${name}`)
      const change = { kind, name, text: document?.text, spec: document?.spec, labels: document?.labels ?? {} }
      written.push({ kind, name, action, version: await this.repository.write(tx, change, author, reason, at) })
    }
    const version = versionOf(await this.repository.all(tx))
    const why = reason === undefined ? {} : { reason }
    await this.repository.notify(tx, version)
    await this.events.appendWithin(tx, [{ kind: 'document.applied', by: author, version, changes: written, ...why }])
    return version
  }
}

/** Who may change which kinds. What decides who somebody is, and what is forgotten, is the administrators' alone. */
const changers: Readonly<Record<DocumentKind, readonly Role[]>> = {
  Policy: ['policy_author', 'admin'],
  Target: ['operator', 'admin'],
  Sink: ['operator', 'admin'],
  Workload: ['admin'],
  User: ['admin'],
  Group: ['admin'],
  GroupMapping: ['admin'],
  IdentityProvider: ['admin'],
  Retention: ['admin'],
}

/** @throws {Problem} 403 naming the first document that isn't the author's to change */
function mayChange(changes: readonly DocumentChange[], roles: readonly Role[]): void {
  const foreign = changes.find(({ kind }) => !isDocumentKind(kind) || !changers[kind].some((role) => roles.includes(role)))
  if (!foreign) return
  const needed = isDocumentKind(foreign.kind) ? changers[foreign.kind].join(' or ') : 'admin'
  throw forbidden('FORBIDDEN', `Changing ${foreign.kind}/${foreign.name} needs the role ${needed}.`, 'Leave it out, or ask somebody who has the role to apply it.')
}

function compareSets(current: readonly Document[], next: readonly Document[]): DocumentChange[] {
  const before = new Map(current.map((document) => [keyOf(document), document.text]))
  const after = new Map(next.map((document) => [keyOf(document), document.text]))
  return [...new Set([...before.keys(), ...after.keys()])].sort().map((key): DocumentChange => {
    const [old, fresh] = [before.get(key), after.get(key)]
    const slash = key.indexOf('/')
    const action = old === undefined ? 'create' : fresh === undefined ? 'delete' : old === fresh ? 'unchanged' : 'update'
    return { kind: key.slice(0, slash), name: key.slice(slash + 1), action, diff: unifiedDiff(key, old, fresh) }
  })
}

function invalid(errors: readonly DocumentError[]): Problem {
  const first = errors[0]
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  return new Problem(422, 'INVALID_DOCUMENTS', `Nothing was applied: ${first ? formatDocumentError(first) : 'a document is not valid'}${more}`, {
    errors: errors.slice(0, 200),
  })
}

function testsFailed(tests: readonly PolicyTestResult[]): Problem {
  const failed = tests.filter((test) => !test.ok)
  return new Problem(422, 'POLICY_TESTS_FAILED', `Nothing was applied: ${failed.length} of ${tests.length} policy tests failed.`, {
    hint: 'See tests[]: change the policy, or what the test expects.',
    extra: { tests },
  })
}
