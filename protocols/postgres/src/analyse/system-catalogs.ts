/**
 * System catalogs that drivers, psql and its tab completion read: names and definitions of objects, nothing of the data. Reading
 * them is a harmless effect. Every other relation of pg_catalog is sensitive (fails closed for catalogs of later versions):
 * statistics hold values of the data, pg_authid password hashes, pg_stat_activity other sessions' queries, pg_user_mapping and
 * pg_subscription secrets of other servers, pg_settings configuration of the host.
 */
const harmless = new Set(
  `pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_available_extensions pg_cast pg_class
  pg_collation pg_constraint pg_conversion pg_cursors pg_database pg_default_acl pg_depend pg_description pg_enum pg_event_trigger
  pg_extension pg_foreign_data_wrapper pg_foreign_table pg_group pg_index pg_indexes pg_inherits pg_init_privs pg_language
  pg_largeobject_metadata pg_matviews pg_namespace pg_opclass pg_operator pg_opfamily pg_parameter_acl pg_partitioned_table
  pg_policies pg_policy pg_proc pg_publication pg_publication_namespace pg_publication_rel pg_publication_tables pg_range pg_rewrite
  pg_roles pg_rules pg_seclabel pg_seclabels pg_sequence pg_shdepend pg_shdescription pg_shseclabel pg_statistic_ext pg_tables pg_tablespace
  pg_timezone_abbrevs pg_timezone_names pg_transform pg_trigger pg_ts_config pg_ts_config_map pg_ts_dict pg_ts_parser
  pg_ts_template pg_type pg_user pg_views`.split(/\s+/),
)

/** Of information_schema only these tell secrets: options of foreign servers and user mappings. */
const sensitiveInformationSchema = new Set(
  `user_mapping_options user_mappings foreign_server_options foreign_table_options column_options foreign_data_wrapper_options
  _pg_user_mappings _pg_foreign_servers _pg_foreign_tables _pg_foreign_table_columns _pg_foreign_data_wrappers`.split(/\s+/),
)

/** What a relation of a system schema is; undefined for one of the user's schemas. */
export function systemRelation(schema: string, name: string): 'harmless' | 'sensitive' | undefined {
  if (schema === 'pg_catalog') return harmless.has(name) ? 'harmless' : 'sensitive'
  if (schema === 'information_schema') return sensitiveInformationSchema.has(name) ? 'sensitive' : 'harmless'
  // TOAST tables hold the raw data of other tables.
  if (schema === 'pg_toast') return 'sensitive'
  return undefined
}

/** The sensitive ones of PostgreSQL 18, by name: policy tests run without a catalog and must tell pg_authid from a user's table. */
const sensitive = new Set(
  `pg_aios pg_authid pg_available_extension_versions pg_backend_memory_contexts pg_config pg_db_role_setting
  pg_file_settings pg_foreign_server pg_hba_file_rules pg_ident_file_mappings pg_largeobject pg_locks
  pg_prepared_statements pg_prepared_xacts pg_replication_origin pg_replication_origin_status pg_replication_slots
  pg_sequences pg_settings pg_shadow pg_shmem_allocations pg_shmem_allocations_numa pg_stat_activity pg_stat_all_indexes
  pg_stat_all_tables pg_stat_archiver pg_stat_bgwriter pg_stat_checkpointer pg_stat_database pg_stat_database_conflicts
  pg_stat_gssapi pg_stat_io pg_stat_progress_analyze pg_stat_progress_basebackup pg_stat_progress_cluster
  pg_stat_progress_copy pg_stat_progress_create_index pg_stat_progress_vacuum pg_stat_recovery_prefetch
  pg_stat_replication pg_stat_replication_slots pg_stat_slru pg_stat_ssl pg_stat_subscription pg_stat_subscription_stats
  pg_stat_sys_indexes pg_stat_sys_tables pg_stat_user_functions pg_stat_user_indexes pg_stat_user_tables pg_stat_wal
  pg_stat_wal_receiver pg_stat_xact_all_tables pg_stat_xact_sys_tables pg_stat_xact_user_functions
  pg_stat_xact_user_tables pg_statio_all_indexes pg_statio_all_sequences pg_statio_all_tables pg_statio_sys_indexes
  pg_statio_sys_sequences pg_statio_sys_tables pg_statio_user_indexes pg_statio_user_sequences pg_statio_user_tables
  pg_statistic pg_statistic_ext_data pg_stats pg_stats_ext pg_stats_ext_exprs pg_subscription
  pg_subscription_rel pg_user_mapping pg_user_mappings pg_wait_events`.split(/\s+/),
)

/** Whether pg_catalog has a relation of this name. */
export function isCatalogName(name: string): boolean {
  return harmless.has(name) || sensitive.has(name)
}
