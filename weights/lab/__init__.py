"""The lab that made the shelf: training (`train`), measuring (`evaluate`, `measure`) and the model card (`card`)."""
