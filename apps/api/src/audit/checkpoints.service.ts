import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { checkpointText, consistencyProof, Frontier, isConsistent, noteOf, originOf, readNote, type Checkpoint } from '@sallyport/audit-log'
import { z } from 'zod'
import { ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'
import { KeysService } from '../keys/keys.service.js'
import { AuditRepository, type ChainHead } from './audit.repository.js'
import { CheckpointFile } from './checkpoint-file.js'
import { EventsService } from './events.service.js'
import { TreeError, TreeRepository } from './tree.repository.js'

const seconds = (fallback: number) => z.coerce.number({ error: 'must be a number of seconds' }).int().min(1).max(86_400).default(fallback)

const settingsSchema = z.object({
  /** How often the log's state is signed, when it moved. */
  SALLYPORT_AUDIT_SIGN_SECONDS: seconds(10),
  /** How often a checkpoint goes into the log itself, and with it to the sinks. */
  SALLYPORT_AUDIT_PUBLISH_SECONDS: seconds(60),
})

export interface SignedCheckpoint extends Checkpoint {
  readonly note: string
}

/**
 * Signs what the log has come to, and never anything that doesn't contain what was signed before: what a rewritten log would
 * need is a signature over it.
 */
@Injectable()
export class CheckpointsService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger(CheckpointsService.name)
  readonly #signEveryMs: number
  readonly #publishEveryMs: number
  #timer: NodeJS.Timeout | undefined
  #signed: SignedCheckpoint | undefined
  #loaded = false
  #running: Promise<void> | undefined
  #refused = false
  #publishedAt = -Infinity

  constructor(
    private readonly repository: AuditRepository,
    private readonly tree: TreeRepository,
    private readonly file: CheckpointFile,
    private readonly events: EventsService,
    private readonly keys: KeysService,
    @Inject(ENVIRONMENT) environment: Environment,
  ) {
    const settings = readConfig(settingsSchema, environment)
    this.#signEveryMs = settings.SALLYPORT_AUDIT_SIGN_SECONDS * 1000
    this.#publishEveryMs = settings.SALLYPORT_AUDIT_PUBLISH_SECONDS * 1000
  }

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => void this.#tick(), this.#signEveryMs)
    this.#timer.unref()
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer)
    await this.sign().catch(() => undefined)
  }

  async #tick(): Promise<void> {
    try {
      await this.sign()
      await this.#publish()
    } catch (error) {
      this.#log.warn({ message: 'checkpoint failed', error: error instanceof Error ? error.name : '' })
    }
  }

  /** The newest that was signed, here or (after a start) by whoever wrote the file or the database. */
  async latest(): Promise<SignedCheckpoint | undefined> {
    if (!this.#loaded) await this.#load()
    return this.#signed
  }

  /** The log isn't what was signed: {@link latest} speaks of what it was. */
  get refused(): boolean {
    return this.#refused
  }

  /** Signs the log's present end, if it moved. Calls at the same time share one run. */
  sign(): Promise<void> {
    this.#running ??= this.#sign().finally(() => (this.#running = undefined))
    return this.#running
  }

  async #sign(): Promise<void> {
    const before = await this.latest()
    const head = await this.repository.head()
    if (head === undefined || head.position === 0n) {
      if (before !== undefined) await this.#refuse(before, 'the log is empty')
      return
    }
    const now = { size: head.position, root: Frontier.read(head.position, head.edge).root() }
    if (before !== undefined) {
      const problem = await this.#disagreement(before, head, now.root)
      if (problem !== undefined) return this.#refuse(before, problem)
      this.#refused = false
      if (before.size === now.size) return
    }
    const key = await this.keys.publicKey()
    const checkpoint = { origin: originOf(key), ...now, time: new Date().toISOString() }
    const note = noteOf(checkpoint, key, await this.keys.signText(checkpointText(checkpoint)))
    // The file first: what is in the database can be taken out of it again.
    this.file.write(note)
    await this.repository.saveCheckpoint(checkpoint.size, note)
    this.#signed = { ...checkpoint, note }
  }

  async #disagreement(before: Checkpoint, head: ChainHead, root: Buffer): Promise<string | undefined> {
    if (head.position < before.size) return `it has ${head.position} records, and had ${before.size}`
    try {
      const proof = await consistencyProof(before.size, head.position, this.tree.rangeHash)
      return isConsistent(before, { size: head.position, root }, proof) ? undefined : `its first ${before.size} records are not those that were signed`
    } catch (error) {
      if (error instanceof TreeError) return error.message
      throw error
    }
  }

  /** Told in the log of the process and, once, as an event: sinks carry it away. */
  async #refuse(before: Checkpoint, problem: string): Promise<void> {
    if (this.#refused) return
    this.#refused = true
    this.#log.error({ message: 'the audit log no longer holds what was signed before: no checkpoint is written, see `sallyport audit verify`', problem })
    await this.events.append({ kind: 'alert', code: 'AUDIT_LOG_REWRITTEN', message: `The audit log does not contain what was signed at ${before.time}: ${problem}. Nothing of it is signed from here on.` })
  }

  /** Into the log, when anything but such a record came to it since the last one. */
  async #publish(): Promise<void> {
    const signed = this.#signed
    if (signed === undefined || this.#refused || Date.now() - this.#publishedAt < this.#publishEveryMs) return
    if (!(await this.repository.movedSinceCheckpoint())) return
    this.#publishedAt = Date.now()
    await this.events.append({ kind: 'audit.checkpoint', size: String(signed.size), root: signed.root.toString('hex'), note: signed.note })
  }

  async #load(): Promise<void> {
    const keys = await this.keys.publicKeys()
    const notes = [this.file.read(), await this.repository.newestNote()]
    for (const note of notes) {
      const read = note === undefined ? undefined : readNote(note, keys)
      if (note !== undefined && read === undefined) this.#log.error({ message: 'a stored checkpoint of the audit log is not signed by this control plane', file: this.file.path })
      if (note !== undefined && read !== undefined && (this.#signed === undefined || read.size > this.#signed.size)) this.#signed = { ...read, note }
    }
    this.#loaded = true
  }
}
