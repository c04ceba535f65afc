import { createHash } from 'node:crypto'
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common'
import { ModuleRef } from '@nestjs/core'
import { keyOf } from '@sallyport/kit'
import { parseDocuments, type Document, type DocumentByKind, type DocumentKind } from '@sallyport/policy'
import type { Document as DocumentRow } from '../generated/prisma/client.js'
import { NotifyService } from '../notify/notify.service.js'
import { protocols } from '../protocols.js'
import { SessionsService } from '../sessions/sessions.service.js'
import { documentContext } from './document-set.js'
import { documentsChannel, DocumentsRepository } from './documents.repository.js'

/** The documents in force at one moment. Immutable; an apply replaces it. */
export interface Snapshot {
  readonly documents: readonly Document[]
  readonly byKey: ReadonlyMap<string, Document>
  readonly rows: readonly DocumentRow[]
  /** Digest over all kinds, names and versions. */
  readonly version: string
}

const refreshRetryMs = 1000

/** Reads documents, from memory. Every replica reloads when any of them applies. */
@Injectable()
export class DocumentsService implements OnModuleInit {
  readonly #log = new Logger(DocumentsService.name)
  readonly #listeners = new Set<() => Promise<void>>()
  #snapshot: Snapshot | undefined
  /** Loads happen one after the other, so that the one that read last wins. */
  #queue: Promise<unknown> = Promise.resolve()
  #refreshTimer: NodeJS.Timeout | undefined

  constructor(
    private readonly repository: DocumentsRepository,
    notify: NotifyService,
    private readonly modules: ModuleRef,
  ) {
    const reload = (): void => {
      this.reload().catch((error: unknown) => {
        this.#log.error({ message: 'documents could not be reloaded', error: error instanceof Error ? error.name : '' })
      })
    }
    notify.subscribe(documentsChannel, (version) => {
      if (version !== this.#snapshot?.version) reload()
    })
    notify.onReconnect(reload)
  }

  async onModuleInit(): Promise<void> {
    for (const descriptor of protocols) await descriptor.load()
  }

  /** The document of this kind and name, if there is one. */
  async get<K extends DocumentKind>(kind: K, name: string): Promise<DocumentByKind[K] | undefined> {
    return ofKind(kind, (await this.snapshot()).byKey.get(`${kind}/${name}`))
  }

  /** All documents of a kind, by name. */
  async list<K extends DocumentKind>(kind: K): Promise<DocumentByKind[K][]> {
    return (await this.snapshot()).documents.flatMap((document) => ofKind(kind, document) ?? [])
  }

  /** @throws when a stored document can't be read: fail closed rather than leave a policy out */
  async snapshot(): Promise<Snapshot> {
    return this.#snapshot ?? this.#inTurn(async () => this.#snapshot ?? (await this.#load()))
  }

  /** Called after every apply, on every replica. */
  onApplied(listener: () => Promise<void>): void {
    this.#listeners.add(listener)
  }

  /** Reads the set afresh and tells who depends on it. Live sessions get their new rules before it resolves. */
  reload(): Promise<Snapshot> {
    return this.#inTurn(async () => {
      const before = this.#snapshot?.version
      const loaded = await this.#load()
      if (loaded.version !== before) await this.#applied()
      return loaded
    })
  }

  /** Tells listeners and live sessions, and tries again until they took it: a live session must not keep old rules. */
  async #applied(): Promise<void> {
    clearTimeout(this.#refreshTimer)
    try {
      for (const listener of this.#listeners) await listener()
      await this.modules.get(SessionsService, { strict: false }).refreshGrants()
    } catch (error) {
      this.#log.error({ message: 'live sessions did not get the new documents yet', error: error instanceof Error ? error.name : '' })
      this.#refreshTimer = setTimeout(() => void this.#applied(), refreshRetryMs)
      this.#refreshTimer.unref()
    }
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(run)
    this.#queue = turn.catch(() => undefined)
    return turn
  }

  async #load(): Promise<Snapshot> {
    try {
      const rows = await this.repository.all()
      const documents = rows.map(readRow)
      this.#snapshot = { documents, byKey: new Map(documents.map((d) => [keyOf(d), d])), rows, version: versionOf(rows) }
      return this.#snapshot
    } catch (error) {
      // What we have may allow what was just forbidden; without it nothing is decided until a load succeeds.
      this.#snapshot = undefined
      throw error
    }
  }
}

/** The digest that names a set of documents. */
export function versionOf(rows: readonly { kind: string; name: string; version: number }[]): string {
  const lines = rows.map((row) => `${row.kind}/${row.name}@${row.version}`).sort()
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 32)
}

/** @throws when this version of the program doesn't understand the stored text */
export function readRow(row: { kind: string; name: string; text: string }): Document {
  const { documents, errors } = parseDocuments(row.text, `(applied) ${row.kind}/${row.name}`, documentContext)
  const document = documents[0]
  if (!document || errors.length > 0) throw new Error(`the stored ${row.kind} "${row.name}" cannot be read: ${errors[0]?.message ?? 'it is empty'}`)
  return document
}

function ofKind<K extends DocumentKind>(kind: K, document: Document | undefined): DocumentByKind[K] | undefined {
  // decoder: the discriminant was compared; TypeScript doesn't narrow a generic by it.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the discriminant was compared
  return document?.kind === kind ? (document as DocumentByKind[K]) : undefined
}
