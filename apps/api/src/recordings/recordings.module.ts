import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { LeftoversRepository } from './leftovers.repository.js'
import { LeftoversService } from './leftovers.service.js'
import { RecordingKeysService } from './recording-keys.service.js'
import { RecordingPartsRepository } from './recording-parts.repository.js'
import { RecordingPartsService } from './recording-parts.service.js'
import { RecordingsConfig } from './recordings.config.js'

/** What sessions showed, kept apart from the events that name it. */
@Module({
  imports: [DatabaseModule],
  providers: [LeftoversRepository, LeftoversService, RecordingKeysService, RecordingPartsRepository, RecordingPartsService, RecordingsConfig],
  exports: [LeftoversService, RecordingPartsRepository, RecordingPartsService],
})
export class RecordingsModule {}
