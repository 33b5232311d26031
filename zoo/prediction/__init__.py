"""From sequences to activities: sessions on runtimes, prediction of files of any size."""
