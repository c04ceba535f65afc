import { Injectable, Logger } from '@nestjs/common'
import { StoreError } from '@sallyport/recording'
import { LeftoversRepository } from './leftovers.repository.js'
import { RecordingsConfig } from './recordings.config.js'

/** Then the store is left alone until the next run: each may take until its deadline. */
const maxFailures = 5

/** Deletes parts in files and object stores that nothing names any more. Their keys are deleted with their events: until then, nobody can open them. */
@Injectable()
export class LeftoversService {
  readonly #log = new Logger(LeftoversService.name)

  constructor(
    private readonly repository: LeftoversRepository,
    private readonly config: RecordingsConfig,
  ) {}

  /**
   * Deletes what is due. What a store doesn't delete now is tried again, ever later up to a day; after some failures the rest waits for the next run.
   * @returns how many parts were deleted, and how many deletions failed
   */
  async clean(): Promise<{ readonly deleted: number; readonly failed: number }> {
    let [deleted, failed] = [0, 0]
    while (failed < maxFailures) {
      const outcome = await this.repository.takeDue(async (part) => {
        try {
          await this.config.storeOf(part.store).delete(part)
          return true
        } catch (error) {
          if (!(error instanceof StoreError)) throw error
          this.#log.warn({ message: 'a part of a recording could not be deleted', session_id: part.session, store: part.store, reason: error.message })
          return false
        }
      })
      if (outcome === 'none') break
      if (outcome === 'deleted') deleted += 1
      if (outcome === 'failed') failed += 1
    }
    return { deleted, failed }
  }
}
