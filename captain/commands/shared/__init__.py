"""What several verbs need: common options, opening what a verb works on, and how results are written."""
