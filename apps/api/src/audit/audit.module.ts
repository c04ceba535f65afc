import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { RecordingsModule } from '../recordings/recordings.module.js'
import { AuditController } from './audit.controller.js'
import { AuditRepository } from './audit.repository.js'
import { BundlesService } from './bundles.service.js'
import { ChainWriter } from './chain-writer.js'
import { CheckpointFile } from './checkpoint-file.js'
import { CheckpointsService } from './checkpoints.service.js'
import { EventsService } from './events.service.js'
import { RecordingsRepository } from './recordings.repository.js'
import { SearchRepository } from './search.repository.js'
import { SearchService } from './search.service.js'
import { TreeRepository } from './tree.repository.js'
import { VerifyService } from './verify.service.js'

/** The audit chain. Exports {@link EventsService} for everyone, {@link SearchService} and recordings for the sessions' pages. */
@Module({
  imports: [DatabaseModule, KeysModule, RecordingsModule],
  controllers: [AuditController],
  providers: [AuditRepository, BundlesService, ChainWriter, CheckpointFile, CheckpointsService, EventsService, RecordingsRepository, SearchRepository, SearchService, TreeRepository, VerifyService],
  exports: [BundlesService, EventsService, RecordingsModule, RecordingsRepository, SearchService],
})
export class AuditModule {}
