import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common'
import { AuditRepository } from './audit.repository.js'

const everyMs = 6 * 60 * 60_000

/** Makes the partitions of the event table ahead of time. What it failed to make in time is kept in the default partition. */
@Injectable()
export class MonthsService implements OnModuleInit, OnApplicationShutdown {
  readonly #log = new Logger(MonthsService.name)
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly repository: AuditRepository) {}

  async onModuleInit(): Promise<void> {
    await this.repository.makeMonths()
    this.#timer = setInterval(() => {
      this.repository.makeMonths().catch((error: unknown) => this.#log.warn({ message: 'partitions of the event table could not be made', error: error instanceof Error ? error.name : '' }))
    }, everyMs)
    this.#timer.unref()
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer)
  }
}
