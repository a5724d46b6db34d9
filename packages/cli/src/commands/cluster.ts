import type { CallResult } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { addConfigurationCommands, contentOf, lastFacts, printFields } from './configuration.ts';
import { addApplyCommands } from './configuration-apply.ts';
import { clusterNoun, notebookNoun, type Shown } from './configuration-noun.ts';
import { addRunCommands } from './configuration-run.ts';
import { addPreflight, launching } from './preflight.ts';

/** What runs until it is stopped. */

export function addClusterCommands(program: Command, cli: Cli): void {
  const cluster = group(program, 'cluster', 'compute clusters: Spark that runs until it is stopped');
  addApplyCommands(cluster, cli, clusterNoun);
  addConfigurationCommands(cluster, cli, clusterNoun, printCluster);
  addRunCommands(cluster, cli, clusterNoun, 'start');
  addPreflight(cluster.command('preflight <cluster>'), cli, launching(clusterNoun));
}

export function addNotebookCommands(program: Command, cli: Cli): void {
  const notebook = group(program, 'notebook', 'notebooks: Jupyter servers that run until they are stopped');
  addApplyCommands(notebook, cli, notebookNoun);
  addConfigurationCommands(notebook, cli, notebookNoun, printNotebook);
  addRunCommands(notebook, cli, notebookNoun, 'start');
  addPreflight(notebook.command('preflight <notebook>'), cli, launching(notebookNoun));
}

function printCluster(output: Cli['output'], cluster: CallResult<'showComputeCluster'>): void {
  const { workers, workerCores, workerMemory } = cluster.sizes ?? {};
  output.facts({
    name: cluster.name,
    domain: cluster.domain,
    id: cluster.id,
    description: cluster.description,
    workers: workers === undefined ? undefined : `${workers}`,
    'cores of each': workerCores === undefined ? undefined : `${workerCores}`,
    'memory of each': workerMemory,
    'storage configurations': cluster.storageConfigs?.join(', '),
    runner: cluster.runner,
    running: runningText(cluster),
    ...lastFacts(cluster),
  });
  printFields(output, [
    ...cluster.environment.map((each) => ['environment', each.name, contentOf(each.value, each.secret)]),
    ...cluster.sparkConfig.map((each) => ['spark config', each.name, contentOf(each.value, each.secret)]),
  ]);
}

function printNotebook(output: Cli['output'], notebook: CallResult<'showNotebook'>): void {
  output.facts({
    name: notebook.name,
    domain: notebook.domain,
    id: notebook.id,
    description: notebook.description,
    image: notebook.image,
    'storage configurations': notebook.storageConfigs?.join(', '),
    runner: notebook.runner,
    running: runningText(notebook),
    ...lastFacts(notebook),
  });
  printFields(
    output,
    notebook.environment.map((each) => ['environment', each.name, contentOf(each.value, each.secret)]),
  );
}

function runningText({ running }: Pick<Shown, 'running'>): string {
  if (running === undefined) return 'no';
  return `${running.state} as ${running.run}${running.restartRequired ? ', restart required: it was changed since' : ''}`;
}
