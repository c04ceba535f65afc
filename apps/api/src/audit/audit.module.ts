import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { PersonsModule } from '../privacy/persons.module.js'
import { RecordingsModule } from '../recordings/recordings.module.js'
import { AuditController } from './audit.controller.js'
import { AuditRepository } from './audit.repository.js'
import { BundlesService } from './bundles.service.js'
import { ChainWriter } from './chain-writer.js'
import { CheckpointFile } from './checkpoint-file.js'
import { CheckpointsService } from './checkpoints.service.js'
import { EventsService } from './events.service.js'
import { ExportService } from './export.service.js'
import { MonthsService } from './months.service.js'
import { RecordingsRepository } from './recordings.repository.js'
import { SavedSearchesRepository } from './saved-searches.repository.js'
import { SearchesController } from './searches.controller.js'
import { SearchRepository } from './search.repository.js'
import { SearchService } from './search.service.js'
import { TreeRepository } from './tree.repository.js'
import { VerifyService } from './verify.service.js'

/** The audit chain. Exports {@link EventsService} for everyone, {@link SearchService} and recordings for the sessions' pages. */
@Module({
  imports: [DatabaseModule, KeysModule, PersonsModule, RecordingsModule],
  controllers: [AuditController, SearchesController],
  providers: [AuditRepository, BundlesService, ChainWriter, CheckpointFile, CheckpointsService, EventsService, ExportService, MonthsService, RecordingsRepository, SavedSearchesRepository, SearchRepository, SearchService, TreeRepository, VerifyService],
  exports: [BundlesService, CheckpointsService, EventsService, PersonsModule, RecordingsModule, RecordingsRepository, SearchService],
})
export class AuditModule {}
