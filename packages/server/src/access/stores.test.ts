import { describeEachStore } from '../../testing/stores.ts';
import { bundlesSuite } from './testing/bundles-suite.ts';
import { domainsSuite } from './testing/domains-suite.ts';
import { explainSuite } from './testing/explain-suite.ts';
import { membersSuite } from './testing/members-suite.ts';
import { snapshotsSuite } from './testing/snapshots-suite.ts';
import { writesSuite } from './testing/writes-suite.ts';

// One file: a database server is started per file.
describeEachStore('access', (openStore) => {
  snapshotsSuite(openStore);
  membersSuite(openStore);
  bundlesSuite(openStore);
  explainSuite(openStore);
  domainsSuite(openStore);
  writesSuite(openStore);
});
