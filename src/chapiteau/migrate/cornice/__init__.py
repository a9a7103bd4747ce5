"""`chapiteau import cornice PATH`: an application changes its imports and keeps its behaviour."""
